// The page is complete without this script, which keeps it up to date: it loads
// the page again and changes in the document what has changed, and nothing else,
// so that focus, selection, scroll position and what is open stay as they are.
"use strict";
(() => {
  const pause = 5_000, longestPause = 60_000, patience = 15_000;
  // How long a row that was put back stays, and what became of it can be read.
  const readingTime = 10_000;

  const held = new Map(); // elements that stay until a time, though the server's page lacks them
  const retrying = new Set(); // forms
  const offline = document.getElementById("offline");
  let timer, wait = pause, loading = false;
  let overtaken = false; // whether what is being loaded is of before a retry

  // here is the page's address without a name and a password, which fetch
  // would not take.
  const here = () => location.origin + location.pathname + location.search;

  async function load() {
    const options = { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(patience) };
    try {
      const response = await fetch(here(), options);
      if (!response.ok) return null;
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      // A proxy's page, to log in for example, is none of ours.
      return fresh.getElementById("summary") && fresh.getElementById("script") ? fresh : null;
    } catch {
      return null;
    }
  }

  async function refresh() {
    clearTimeout(timer);
    if (loading || document.hidden) return;
    loading = true;
    const fresh = await load();
    loading = false;
    if (overtaken) {
      overtaken = false;
      refresh();
      return;
    }
    wait = fresh ? pause : Math.min(2 * wait, longestPause);
    timer = setTimeout(refresh, wait);
    if (!fresh) {
      if (offline.hidden) {
        offline.textContent = `Not connected since ${document.getElementById("now").textContent}. What stands here is of then.`;
        offline.hidden = false;
      }
      return;
    }
    if (["script", "style"].some((id) => fresh.getElementById(id)?.textContent !== document.getElementById(id).textContent)) {
      location.reload(); // it is another version's page
      return;
    }
    offline.hidden = true;
    show(fresh);
  }

  // show makes the document say what a fresh one says.
  function show(fresh) {
    const focused = document.activeElement;
    const heading = focused.closest("section")?.querySelector("h2");
    const [anchor, top] = seenFirst();
    for (const part of ["header", "main", "footer"]) {
      morph(document.querySelector(part), fresh.querySelector(part), selectedTexts());
    }
    document.title = fresh.title;
    if (document.activeElement !== focused) {
      (focused.isConnected ? focused : heading)?.focus({ preventScroll: true });
    }
    if (anchor?.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - top);
  }

  // seenFirst returns the first element with an id that begins in the window,
  // and where, unless the page stands at its top: there people want what is new.
  function seenFirst() {
    if (scrollY > 0) {
      for (const element of document.querySelectorAll("main [id]")) {
        const { top, height } = element.getBoundingClientRect();
        if (height > 0 && top >= 0 && top < innerHeight) return [element, top];
      }
    }
    return [null, 0];
  }

  // selectedTexts returns the texts in which a selection begins and ends. To
  // change them would change it.
  function selectedTexts() {
    const selection = getSelection();
    return selection.isCollapsed ? [] : [selection.anchorNode, selection.focusNode];
  }

  // morph makes an element equal to a fresh one of the same name.
  function morph(old, fresh, keep) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !isReaders(old, name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value && !isReaders(old, name)) old.setAttribute(name, value);
    }

    const ids = new Set(Array.from(fresh.children, (child) => child.id));
    for (const child of [...old.children]) {
      if (child.id && !ids.has(child.id) && !isHeld(child)) child.remove();
    }
    const byID = new Map(Array.from(old.children, (child) => [child.id, child]));
    let next = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      while (next && isHeld(next) && !ids.has(next.id)) next = next.nextSibling;
      const same = child.id ? byID.get(child.id) : next && !next.id && next.nodeName === child.nodeName ? next : null;
      if (!same) {
        old.insertBefore(child, next);
        continue;
      }
      if (same === next) next = next.nextSibling;
      else if (old.moveBefore) old.moveBefore(same, next); // it keeps the focus
      else old.insertBefore(same, next);
      if (same.nodeType === Node.ELEMENT_NODE) morph(same, child, keep);
      else if (same.data !== child.data && !keep.includes(same)) same.data = child.data;
    }
    while (next) {
      const rest = next;
      next = next.nextSibling;
      if (!isHeld(rest)) rest.remove();
    }
  }

  // isReaders tells whether an attribute is for the reader to set.
  const isReaders = (element, name) => element.nodeName === "DETAILS" && name === "open";

  function isHeld(node) {
    for (const [element, until] of held) {
      if (until < Date.now()) held.delete(element);
      else if (node.contains(element)) return true;
    }
    return false;
  }

  // retry posts a form and says beside it what became of that.
  async function retry(form) {
    if (retrying.has(form)) return;
    retrying.add(form);
    tell(form, "Putting it back…");
    let said = "It was not put back: there is no connection.", done = false;
    try {
      const response = await fetch(new URL(form.getAttribute("action"), here()), {
        method: "POST", headers: { Accept: "application/json" }, signal: AbortSignal.timeout(patience),
      });
      done = response.ok;
      said = done ? "Put back: it is tried again." : `It was not put back: ${(await response.json()).error}.`;
    } catch {
      // A connection that broke or an answer that is none of ours.
    }
    tell(form, said);
    retrying.delete(form);
    if (done) {
      const hadFocus = form.contains(document.activeElement);
      held.set(form.closest("tr"), Date.now() + readingTime);
      form.hidden = true;
      if (hadFocus) form.closest("section").querySelector("h2").focus({ preventScroll: true });
    }
    overtaken = loading;
    refresh();
  }

  // tell writes a message after a form, where it stays for a while.
  function tell(form, text) {
    let message = form.nextElementSibling;
    if (!message) {
      message = document.createElement("p");
      message.className = "told";
      message.setAttribute("role", "status");
      form.after(message);
    }
    message.textContent = text;
    held.set(message, Date.now() + readingTime);
  }

  document.addEventListener("submit", (event) => {
    event.preventDefault();
    retry(event.target);
  });
  document.addEventListener("visibilitychange", refresh);
  addEventListener("online", refresh);
  document.documentElement.classList.add("scripted");
  timer = setTimeout(refresh, wait);
})();
