// docs.mjs BASE TOKEN ADDRESS: uses /docs with a browser: signs in with TOKEN, comes back after a reload, and asks who it is,
// which must be ADDRESS. NODE_PATH has what package.json names; TMPDIR takes the browser (200 MB).
import assert from 'node:assert/strict';
import { browser } from './browser.mjs';

const [base, token, address] = process.argv.slice(2);
const opened = await browser();
try {
  for (const width of [390, 1280]) {
    const context = await opened.newContext({ viewport: { width, height: 900 } });
    const page = await context.newPage();
    await page.goto(`${base}/docs`);
    await page.locator('.btn.authorize').click();
    const form = page.locator('.auth-container form').filter({ hasText: 'bearer (http, Bearer)' });
    await form.locator('input').fill(token);
    await form.locator('.auth-btn-wrapper .authorize').click();
    await form.locator('.auth-btn-wrapper .btn-done').click();
    await page.reload();
    const call = page.locator('#operations-users-getMe');
    await call.locator('.opblock-summary-control').click();
    await call.locator('.try-out__btn').click();
    await call.locator('.execute').click();
    const answer = call.locator('.live-responses-table .response .highlight-code, .live-responses-table .response .microlight').first();
    await answer.waitFor();
    assert.ok((await answer.innerText()).includes(address), `${width}: ${await answer.innerText()}`);
    assert.equal(await page.locator('.topbar, .download-url-wrapper').count(), 0, 'there is a bar to explore other documents');
    if (process.env.ORGANISE_PICTURES) await page.screenshot({ path: `${process.env.ORGANISE_PICTURES}/docs-${width}.png` });
    await context.close();
  }
} finally {
  await opened.close();
}
