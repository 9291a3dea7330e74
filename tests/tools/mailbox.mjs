// mailbox.mjs BASE TOKEN EVENT ADDRESS: looks at the mailbox pages with a browser, as wide as phones and desks are. There is
// a ticket in the mailbox. While somebody types into the filter, the owner of TOKEN registers for EVENT, and the letter to
// ADDRESS must appear beside what is typed. NODE_PATH has what package.json names; TMPDIR takes the browser (200 MB).
import assert from 'node:assert/strict';
import { browser } from './browser.mjs';

const [base, token, event, address] = process.argv.slice(2);

const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
const list = await (await fetch(`${base}/dev/mailbox.json`)).json();
const ticket = (channel) => list.find((message) => message.kind === 'ticket' && message.channel === channel);
const { id } = ticket('email');
const opened = await browser();
try {
  for (const width of [320, 390, 1280]) {
    const page = await opened.newPage({ viewport: { width, height: 800 } });
    page.on('pageerror', (error) => { throw error; });

    await page.goto(`${base}/dev/mailbox`);
    assert.equal(await page.evaluate(overflow), 0, `${width}: the list is wider than the screen`);
    const subject = page.locator(`a[href="/dev/mailbox/${id}"]`);
    const box = await subject.boundingBox();
    assert.ok(box.x >= 0 && box.width >= 150 && box.x + box.width <= width, `${width}: the subject is at ${JSON.stringify(box)}`);
    const behind = ([x, y]) => document.elementFromPoint(x, y)?.closest('a')?.getAttribute('href');
    await subject.scrollIntoViewIfNeeded();
    const seen = await subject.boundingBox();
    assert.equal(await page.evaluate(behind, [seen.x + 20, seen.y + 10]), `/dev/mailbox/${id}`, `${width}: the subject is covered`);

    await page.goto(`${base}/dev/mailbox/${id}`);
    assert.equal(await page.evaluate(overflow), 0, `${width}: the message is wider than the screen`);
    const frame = await (await page.locator('iframe').elementHandle()).contentFrame();
    await frame.waitForFunction(() => document.readyState === 'complete');
    const clipped = () => [document.documentElement.scrollHeight - innerHeight, document.documentElement.scrollWidth - innerWidth];
    let left;
    for (let tries = 0; tries < 50; tries++) {
      left = await frame.evaluate(clipped);
      if (left.every((pixels) => pixels <= 0)) break;
      await new Promise((resolve) => setTimeout(resolve, 100)); // the frame is fitted once it is drawn
    }
    assert.ok(left.every((pixels) => pixels <= 0), `${width}: ${left} pixels of the ticket are clipped`);
    const pictures = await frame.evaluate(() => [...document.images].map((image) => image.complete && image.naturalWidth));
    assert.ok(pictures.length === 1 && pictures[0] > 100, `${width}: the picture of the code is ${pictures} pixels wide`);
    // Its plain text stands beside it where there is room, else below.
    const [html, text] = await Promise.all(['iframe', '.forms pre'].map((part) => page.locator(part).boundingBox()));
    const beside = text.x >= html.x + html.width;
    assert.equal(beside, width >= 1280, `${width}: the plain text is at ${JSON.stringify(text)}`);
    assert.ok(beside || text.y >= html.y + html.height, `${width}: the plain text covers the letter`);
    assert.ok(text.x + text.width <= width && html.x + html.width <= width, `${width}: a form is cut off`);
    // Where each character of the code is: one line per group.
    const lines = await frame.evaluate(() => {
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      const places = [];
      while (walker.nextNode()) {
        for (let at = 0; at < walker.currentNode.length; at++) {
          const range = document.createRange();
          range.setStart(walker.currentNode, at);
          range.setEnd(walker.currentNode, at + 1);
          places.push([range.toString(), range.getBoundingClientRect().top]);
        }
      }
      const text = places.map(([character]) => character).join('');
      const code = /[0-9A-Z]{4}(-[0-9A-Z]{4}){3}/.exec(text);
      return [0, 5, 10, 15].map((group) => new Set(places.slice(code.index + group, code.index + group + 4).map(([, top]) => top)).size);
    });
    assert.deepEqual(lines, [1, 1, 1, 1], `${width}: the code is broken inside a group`);

    await page.goto(`${base}/dev/mailbox/${ticket('sms').id}`);
    assert.equal(await page.evaluate(overflow), 0, `${width}: the text message is wider than the screen`);
    const bubble = await page.locator('.bubble').boundingBox();
    assert.ok(bubble.width < 400 && bubble.x + bubble.width <= width, `${width}: the bubble is at ${JSON.stringify(bubble)}`);

    await page.goto(`${base}/dev/mailbox`);
    await page.getByLabel('Kind').selectOption('ticket');
    await page.getByRole('textbox').fill(ticket('email').to);
    await page.getByRole('button').click();
    await page.waitForURL(/kind=ticket/);
    assert.equal(await page.locator('td.subject').count(), 1, `${width}: one mail is found`);
    await page.close();
  }

  const page = await opened.newPage({ viewport: { width: 390, height: 800 } });
  const refreshed = () => page.waitForResponse((answer) => new URL(answer.url()).pathname === '/dev/mailbox', { timeout: 20000 });
  await page.goto(`${base}/dev/mailbox`);
  const filter = page.getByRole('textbox');
  await filter.pressSequentially('ravi+te');
  const registered = await fetch(`${base}/api/reg/register_event`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ event_id: event }),
  });
  assert.equal(registered.status, 201);
  await refreshed();
  await page.getByText(address).first().waitFor({ timeout: 20000 });
  assert.equal(await filter.inputValue(), 'ravi+te', 'a refresh has taken what was typed');
  await filter.pressSequentially('st');
  assert.equal(await filter.inputValue(), 'ravi+test', 'a refresh has taken the cursor');
} finally {
  await opened.close();
}
