// checkout.mjs API CHECKOUT PAYER FLOW EVENT...: pays as a merchant's page does in production, with a browser as wide as phones
// and desks are. API is the gateway, CHECKOUT the simulator, PAYER an object of token and id, each EVENT one to pay for. FLOW is
// `keys` when the product leaves the payment to Checkout, `none` when it has started one of its own.
// NODE_PATH has what package.json names; TMPDIR takes the browser (200 MB) and SHOTS, if set, pictures.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { browser } from './browser.mjs';

const [api, checkout, payerText, flow, ...events] = process.argv.slice(2);
const payer = JSON.parse(payerText);

const call = async (path, body) => {
  const answer = await fetch(`${api}${path}`, {
    method: 'POST', body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${payer.token}` },
  });
  return [answer.status, await answer.json()];
};

// The order of an event, as Checkout wants it.
const order = async () => {
  const event = events.pop();
  const [status, answer] = await call('/api/payment/process_payment',
    { event_id: event, amount: 500, user_id: payer.id, payment_method: 'card' });
  assert.equal(status, 202, JSON.stringify(answer));
  assert.equal(answer.payment_id === null, flow === 'keys', 'Checkout makes the payment');
  return answer.checkout;
};

// The merchant: a page with Checkout's script, and the place to which browsers are sent back.
const posted = [];
const merchant = createServer((request, answer) => {
  answer.setHeader('content-type', 'text/html');
  if (request.method === 'GET') {
    answer.end(`<!doctype html><title>Shop</title><h1>Shop</h1><script src="${checkout}/v1/checkout.js"></script>`);
    return;
  }
  let body = '';
  request.on('data', (part) => { body += part; });
  request.on('end', () => {
    posted.push(Object.fromEntries(new URLSearchParams(body)));
    answer.end('<!doctype html><title>Back</title><h1>Back at the shop</h1>');
  });
});
await new Promise((resolve) => merchant.listen(0, '127.0.0.1', resolve));
const shop = `http://127.0.0.1:${merchant.address().port}`;

const verified = async (handed) => {
  const [status, answer] = await call('/api/payment/verify', handed);
  assert.equal(status, 200, JSON.stringify(answer));
  assert.equal(answer.status, 'captured');
};
const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
const opened = await browser();
try {
  for (const width of [390, 1280]) {
    const page = await opened.newPage({ viewport: { width, height: 800 } });
    page.on('pageerror', (error) => { throw error; });
    const shot = async (name) => process.env.SHOTS && page.screenshot({ path: `${process.env.SHOTS}/${name}-${width}.png` });
    const open = async (options) => page.evaluate((options) => {
      window.told = {};
      const razorpay = new window.Razorpay({
        ...options,
        handler: (handed) => { window.told.handed = handed; },
        modal: { ...options.modal, ondismiss: (reason) => { window.told.dismissed = reason ?? 'by hand'; } },
      });
      razorpay.on('payment.failed', ({ error }) => { window.told.error = error; });
      razorpay.open();
    }, options);
    const told = async (name) => (await page.waitForFunction((name) => window.told[name], name)).jsonValue();

    // In a frame: closed, opened again, failed, tried again, paid.
    await page.goto(shop);
    await assert.rejects(page.evaluate(() => new window.Razorpay({})), /No key passed/);
    const options = { ...await order(), name: 'Organise "Event" <3', prefill: { email: 'a@example.com', contact: '+919876543210' } };
    await open(options);
    const frame = page.frameLocator('.razorpay-checkout-frame');
    await frame.getByRole('button', { name: 'Cancel' }).click();
    assert.equal(await told('dismissed'), 'by hand');
    await open(options);
    await page.keyboard.press('Escape');
    assert.equal(await told('dismissed'), 'by hand');
    await open({ ...options, modal: { escape: false, backdropclose: true, confirm_close: true } });
    await page.keyboard.press('Escape');
    await frame.getByText('₹500').waitFor();
    page.once('dialog', (dialog) => dialog.accept());
    await page.locator('.razorpay-container').click({ position: { x: 5, y: 5 } });
    assert.equal(await told('dismissed'), 'by hand');
    await open({ ...options, timeout: 1 });
    assert.equal(await told('dismissed'), 'timeout');
    await open(options);
    await frame.getByText('₹500').waitFor();
    assert.equal(await frame.getByLabel('E-mail').inputValue(), 'a@example.com');
    await shot('checkout');
    assert.equal(await page.frames()[1].evaluate(overflow), 0, `${width}: Checkout is wider than its frame`);
    await frame.getByLabel('Pay by').selectOption('netbanking');
    await frame.getByRole('button', { name: 'Pay' }).click();
    await frame.getByRole('button', { name: 'Failure' }).click();
    const error = await told('error');
    assert.equal(error.reason, 'payment_failed');
    assert.equal(error.metadata.order_id, options.order_id);
    await frame.getByRole('link', { name: 'Try again' }).click();
    await frame.getByLabel('Pay by').selectOption('card');
    await frame.getByRole('button', { name: 'Pay' }).click();
    await shot('bank');
    await frame.getByRole('button', { name: 'Success' }).click();
    const handed = await told('handed');
    assert.equal(handed.razorpay_order_id, options.order_id);
    assert.equal(await page.locator('iframe').count(), 0, 'Checkout closes itself');
    await verified(handed);
    await open(options);
    await frame.getByText('already paid').waitFor();

    // Without an address to be sent to, `redirect` leaves a failure in Checkout.
    await page.goto(shop);
    const unsent = await order();
    await open({ ...unsent, redirect: true, retry: { enabled: false } });
    await frame.getByRole('button', { name: 'Pay' }).click();
    await frame.getByRole('button', { name: 'Failure' }).click();
    assert.equal((await told('error')).metadata.order_id, unsent.order_id);
    assert.equal(await page.evaluate(() => window.told.handed), undefined);
    assert.equal(await frame.getByRole('link', { name: 'Try again' }).count(), 0, 'retry is off');

    // The browser is sent to the merchant by a form, also after a failure.
    for (const [button, redirect] of [['Failure', true], ['Success', false]]) {
      await page.goto(shop);
      await open({ ...await order(), callback_url: `${shop}/back`, redirect });
      await frame.getByRole('button', { name: 'Pay' }).click();
      await frame.getByRole('button', { name: button }).click();
      await page.getByText('Back at the shop').waitFor();
      const form = posted.pop();
      if (button === 'Success') await verified(form);
      else assert.equal(form['error[reason]'], 'payment_failed', JSON.stringify(form));
    }

    // Checkout as a page of its own, opened by a form.
    const { key, order_id } = await order();
    const hosted = async () => {
      await page.goto(shop);
      await page.evaluate(([action, fields]) => {
        const form = Object.assign(document.createElement('form'), { method: 'post', action });
        for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement('input'), { name, value }));
        document.body.append(form);
        form.submit();
      }, [`${checkout}/v1/checkout/embedded`, { key_id: key, order_id, name: 'Shop', 'prefill[contact]': '+919876543210',
        callback_url: `${shop}/back`, cancel_url: shop }]);
      await page.getByRole('button', { name: 'Pay' }).waitFor();
    };
    await hosted();
    assert.equal(await page.getByLabel('Phone').inputValue(), '+919876543210');
    assert.equal(await page.evaluate(overflow), 0, `${width}: Checkout is wider than the screen`);
    await shot('hosted');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.waitForURL(`${shop}/`);
    await hosted();
    await page.getByRole('button', { name: 'Pay' }).click();
    await page.getByRole('button', { name: 'Success' }).click();
    await page.getByText('Back at the shop').waitFor();
    await verified(posted.pop());
    await page.close();
  }
} finally {
  await opened.close();
  merchant.close();
}
