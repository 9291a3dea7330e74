// Razorpay's own SDK for Node against the simulator, with nothing changed but the base URL.
// BASE KEY_ID KEY_SECRET WEBHOOK_SECRET MODE: MODE is `auto` (the simulator takes the payer's step) or `hand`.
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const Razorpay = require('razorpay');

const [base, key_id, key_secret, webhookSecret, mode] = process.argv.slice(2);
const razorpay = new Razorpay({ key_id, key_secret });
razorpay.api.rq.defaults.baseURL = base;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** What the payer's bank does, where the simulator leaves that to us. */
async function bank(payment) {
  if (mode === 'hand') {
    const url = `${base}/sim/control/payments/${payment}/authorize`;
    const answer = await fetch(url, { method: 'POST' });
    assert.equal(answer.status, 200, await answer.text());
  }
  for (const end = Date.now() + 20_000; Date.now() < end; await pause(20)) {
    const now = await razorpay.payments.fetch(payment);
    if (now.status !== 'created') return now;
  }
  throw new Error(`${payment} stays created`);
}

async function refused(call, description) {
  await assert.rejects(call, (error) => {
    assert.equal(error.statusCode, 400);
    assert.equal(error.error.code, 'BAD_REQUEST_ERROR');
    assert.match(error.error.description, description);
    return true;
  });
}

async function main() {
  const receipt = crypto.randomUUID();
  const notes = { event: 'Rust evening' };
  const order = await razorpay.orders.create({
    amount: 50_000, currency: 'INR', receipt, notes,
    payment: { capture: 'manual', capture_options: { manual_expiry_period: 1440, refund_speed: 'normal' } },
  });
  assert.equal(order.amount_due, 50_000);
  assert.deepEqual((await razorpay.orders.fetch(order.id)).notes, notes);
  const listed = await razorpay.orders.all({ receipt });
  assert.deepEqual(listed.items.map((one) => one.id), [order.id]);
  await razorpay.orders.edit(order.id, { notes: { event: 'Moved' } });
  await refused(() => razorpay.orders.fetch('order_none'), /./);

  const started = await razorpay.payments.createPaymentJson({
    amount: 50_000, currency: 'INR', order_id: order.id, email: 'a@example.com', contact: '+919876543210',
    method: 'netbanking', bank: 'HDFC',
  });
  const payment = started.razorpay_payment_id;
  if (mode === 'hand') await refused(() => razorpay.payments.capture(payment, 50_000, 'INR'), /authorized/);
  assert.equal((await bank(payment)).status, 'authorized');
  await refused(() => razorpay.payments.capture(payment, 40_000, 'INR'), /amount/i);
  const captured = await razorpay.payments.capture(payment, 50_000, 'INR');
  assert.equal(captured.status, 'captured');
  assert.ok(captured.fee > 0 && captured.tax > 0);
  await refused(() => razorpay.payments.capture(payment, 50_000, 'INR'), /already been captured/);
  assert.equal((await razorpay.orders.fetch(order.id)).status, 'paid');
  assert.equal((await razorpay.orders.fetchPayments(order.id)).items[0].id, payment);
  assert.ok((await razorpay.payments.all({ count: 10 })).items.some((one) => one.id === payment));

  const part = await razorpay.payments.refund(payment, { amount: 10_000, speed: 'normal', notes });
  assert.equal(part.amount, 10_000);
  assert.equal((await razorpay.payments.fetchRefund(payment, part.id)).id, part.id);
  assert.equal((await razorpay.refunds.fetch(part.id)).payment_id, payment);
  await refused(() => razorpay.payments.refund(payment, { amount: 40_001 }), /greater/);
  const rest = await razorpay.payments.refund(payment);
  assert.equal(rest.amount, 40_000);
  const refunds = await razorpay.payments.fetchMultipleRefund(payment, { count: 10 });
  assert.equal(refunds.items.length, 2);
  assert.ok((await razorpay.refunds.all({ count: 10 })).items.length >= 2);
  const after = await razorpay.payments.fetch(payment);
  assert.deepEqual([after.status, after.amount_refunded], ['refunded', 50_000]);

  const link = await razorpay.paymentLink.create({ amount: 50_000, currency: 'INR', description: 'A seat' });
  assert.equal((await razorpay.paymentLink.fetch(link.id)).status, 'created');
  assert.equal((await razorpay.paymentLink.cancel(link.id)).status, 'cancelled');

  // What Checkout and webhooks are signed with.
  const { validatePaymentVerification, validateWebhookSignature } = require('razorpay/dist/utils/razorpay-utils');
  const signature = crypto.createHmac('sha256', key_secret).update(`${order.id}|${payment}`).digest('hex');
  assert.ok(validatePaymentVerification({ order_id: order.id, payment_id: payment }, signature, key_secret));
  const body = JSON.stringify({ entity: 'event', event: 'payment.captured' });
  const signed = crypto.createHmac('sha256', webhookSecret).update(body).digest('hex');
  assert.ok(validateWebhookSignature(body, signed, webhookSecret));

  const stranger = new Razorpay({ key_id, key_secret: 'wrong' });
  stranger.api.rq.defaults.baseURL = base;
  await assert.rejects(() => stranger.orders.all(), (error) => error.statusCode === 401);
  console.log('all is well');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
