// What messages drawn by the server need besides their HTML: values that a strict
// content security policy does not let stand in style attributes, and clicks.

let made = 0; // numbers for ids

// dress sets up all drawn messages below an element.
export function dress(root) {
  for (const e of root.querySelectorAll('[data-ink]')) e.style.color = e.dataset.ink;
  for (const e of root.querySelectorAll('[data-fill]')) e.style.backgroundColor = e.dataset.fill;
  for (const e of root.querySelectorAll('.chat-grid')) {
    const columns = Math.min(Math.max(Number(e.dataset.columns) || 2, 1), 12);
    e.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  }
  for (const e of root.querySelectorAll('[data-lines]')) clamp(e);
  for (const e of root.querySelectorAll('.chat-toggle button')) {
    toggles(e, e.closest('.chat-section').querySelector('.chat-behind'), (open) => { e.textContent = open ? e.dataset.less : e.dataset.more; });
  }
  for (const e of root.querySelectorAll('.chat-with-menu')) menu(e);
}

// toggles lets a button show and hide an element.
function toggles(button, what, changed) {
  what.id ||= `chat-${++made}`;
  button.setAttribute('aria-controls', what.id);
  button.addEventListener('click', () => {
    what.hidden = !what.hidden;
    button.setAttribute('aria-expanded', String(!what.hidden));
    changed(!what.hidden);
  });
}

// clamp cuts a paragraph to its lines, with a button to see the rest.
function clamp(paragraph) {
  const lines = Math.max(Number(paragraph.dataset.lines), 1);
  const cut = (on) => {
    paragraph.classList.toggle('chat-clamped', on);
    paragraph.style.webkitLineClamp = on ? lines : 'unset';
  };
  cut(true);
  const more = document.createElement('button');
  more.type = 'button';
  more.className = 'chat-button chat-borderless';
  more.textContent = 'show more';
  more.setAttribute('aria-expanded', 'false');
  more.addEventListener('click', () => {
    const open = more.getAttribute('aria-expanded') !== 'true';
    cut(!open);
    more.setAttribute('aria-expanded', String(open));
    more.textContent = open ? 'show less' : 'show more';
  });
  more.hidden = true;
  paragraph.after(more);
  // How high it is, is known once it is shown.
  new ResizeObserver((_, observer) => {
    if (paragraph.clientHeight === 0) return;
    const open = more.getAttribute('aria-expanded') === 'true'; // by somebody who drew it anew
    more.hidden = !open && paragraph.scrollHeight <= paragraph.clientHeight + 1;
    observer.disconnect();
  }).observe(paragraph);
}

// menu opens and closes an overflow menu, by mouse and keyboard.
function menu(of) {
  const button = of.querySelector('button');
  const list = of.querySelector('.chat-menu');
  const entries = [...list.querySelectorAll('a')];
  const close = () => {
    list.hidden = true;
    button.setAttribute('aria-expanded', 'false');
  };
  toggles(button, list, (open) => { if (open) entries[0]?.focus(); });
  of.addEventListener('keydown', (event) => {
    const at = entries.indexOf(document.activeElement);
    if (event.key === 'Escape' && !list.hidden) {
      close();
      button.focus();
    } else if (at >= 0 && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault();
      entries[(at + (event.key === 'ArrowDown' ? 1 : entries.length - 1)) % entries.length].focus();
    }
  });
  of.addEventListener('focusout', (event) => { if (!of.contains(event.relatedTarget)) close(); });
}
