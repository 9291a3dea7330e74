// Keeps the list fresh without touching what is being typed, and the frame as tall as its message.
const list = document.querySelector('#live');
if (list) {
  let shown = list.innerHTML;
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = page.querySelector('#live');
      if (!fresh || fresh.innerHTML === shown) return;
      shown = fresh.innerHTML;
      list.replaceChildren(...fresh.childNodes);
    } catch {
      // Nobody answers just now: what is shown stays.
    }
  }, 5000);
}
const frame = document.querySelector('iframe');
if (frame) {
  const fit = () => {
    const body = frame.contentDocument?.body;
    if (body) frame.style.height = `${Math.ceil(body.getBoundingClientRect().height)}px`;
  };
  frame.addEventListener('load', fit);
  new ResizeObserver(fit).observe(frame);
  fit();
}
