// Razorpay Checkout as https://checkout.razorpay.com/v1/checkout.js offers it, for the simulator: the same options, events
// and callbacks, with the simulator's page in the frame.
(() => {
  const base = new URL(document.currentScript.src).origin;
  const given = (value) => value !== undefined && value !== null && value !== '';

  class Razorpay {
    #options;
    #listeners = new Map();
    #overlay = null;
    #timer = null;

    constructor(options = {}) {
      if (!given(options.key)) throw new Error('No key passed');
      if (!given(options.order_id)) throw new Error('The simulator takes payments of orders only: pass order_id');
      this.#options = options;
    }

    static open(options) {
      const checkout = new Razorpay(options);
      checkout.open();
      return checkout;
    }

    on(event, listener) {
      this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
      return this;
    }

    open() {
      if (this.#overlay) return this;
      const { key, order_id, name, description, prefill = {}, callback_url, redirect, retry, modal = {}, timeout } = this.#options;
      const wanted = { key_id: key, order_id, name, description, callback_url, redirect, framed: true,
        retry: retry === false || retry?.enabled === false ? false : undefined,
        email: prefill.email, contact: prefill.contact, method: prefill.method };
      const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => given(value)));
      const overlay = document.createElement('div');
      overlay.className = 'razorpay-container';
      overlay.style.cssText = 'position:fixed;inset:0;z-index:2147483647;background:#0009;display:grid;place-items:center';
      const frame = document.createElement('iframe');
      frame.className = 'razorpay-checkout-frame';
      frame.title = 'Razorpay Checkout';
      frame.style.cssText = 'border:0;border-radius:8px;background:#fff;width:min(26em,100vw);height:min(40em,100vh)';
      frame.src = `${base}/sim/checkout?${query}`;
      overlay.append(frame);
      overlay.addEventListener('click', () => { if (modal.backdropclose) this.#dismiss(); });
      addEventListener('message', this.#hear);
      addEventListener('keydown', this.#key);
      document.body.append(overlay);
      this.#overlay = overlay;
      if (timeout > 0) this.#timer = setTimeout(() => this.#dismiss('timeout'), timeout * 1000);
      return this;
    }

    close() {
      clearTimeout(this.#timer);
      removeEventListener('message', this.#hear);
      removeEventListener('keydown', this.#key);
      this.#overlay?.remove();
      this.#overlay = null;
    }

    #dismiss(reason) {
      const { modal = {} } = this.#options;
      if (!reason && modal.confirm_close && !confirm('Cancel this payment?')) return;
      this.close();
      modal.ondismiss?.(reason);
    }

    #key = (event) => {
      if (event.key === 'Escape' && this.#options.modal?.escape !== false) this.#dismiss();
    };

    #hear = (event) => {
      const frame = this.#overlay?.querySelector('iframe');
      if (event.origin !== base || event.source !== frame?.contentWindow) return;
      const { razorpay, payload } = event.data ?? {};
      if (razorpay === 'success') {
        this.close();
        this.#options.handler?.(payload);
      } else if (razorpay === 'failed') {
        for (const listener of this.#listeners.get('payment.failed') ?? []) listener(payload);
      } else if (razorpay === 'dismissed') {
        this.#dismiss();
      }
    };
  }

  window.Razorpay = Razorpay;
})();
