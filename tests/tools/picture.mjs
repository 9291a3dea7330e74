// picture.mjs BASE: makes the README's picture, docs/ticket.png, of the newest ticket in the mailbox at BASE, where the README's
// story has been told.
import { fileURLToPath } from 'node:url';
import { browser } from './browser.mjs';

const [base] = process.argv.slice(2);
const list = await (await fetch(`${base}/dev/mailbox.json`)).json();
const { id } = list.find((message) => message.kind === 'ticket' && message.channel === 'email');
const opened = await browser();
try {
  const page = await opened.newPage({ viewport: { width: 620, height: 100 }, deviceScaleFactor: 1.5 });
  await page.goto(`${base}/dev/mailbox/${id}`);
  // The letter alone, as a mail program shows it.
  await page.setContent(await page.locator('iframe').getAttribute('srcdoc'));
  await page.screenshot({ path: fileURLToPath(new URL('../../docs/ticket.png', import.meta.url)), fullPage: true });
} finally {
  await opened.close();
}
