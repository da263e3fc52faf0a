// The preview page: the spaces of the stand-in for Google Chat, fed by server-sent
// events, and a place to try out templates. All HTML that it shows comes from its
// own server, which escapes what alerts and templates hold; all else is set as text.
import { dress } from './card.js';

const $ = (id) => document.getElementById(id);

// element makes an element with properties and children; a string becomes text.
function element(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
}

// fill puts children into an element in place of what it holds.
function fill(parent, ...children) { parent.replaceChildren(...children); }

// json fetches from the preview. Its error is a sentence for people.
async function json(path, options) {
  const response = await fetch(path, options).catch((error) => {
    throw error.name === 'AbortError' ? error : new Error('the preview is not reachable');
  });
  const body = await response.json().catch((error) => {
    if (response.ok) throw error.name === 'AbortError' ? error : new Error('the answer of the preview broke off');
    return {};
  });
  if (!response.ok) throw new Error(body.error || `the preview answers ${response.status}`);
  return body;
}

// ---- How messages are drawn: kept for the next visit where the browser allows it.

function remembered(id, apply) {
  const control = $(id);
  const key = `alertchat-${id}`;
  try { control.value = localStorage.getItem(key) || control.value; } catch { /* it is not allowed */ }
  if (!control.value) control.selectedIndex = 0;
  const change = () => {
    apply(control.value);
    try { localStorage.setItem(key, control.value); } catch { /* it is not allowed */ }
  };
  control.addEventListener('change', change);
  apply(control.value);
}
remembered('theme', (value) => {
  for (const chat of document.querySelectorAll('.chat')) chat.dataset.theme = value;
});
remembered('width', (value) => { document.body.dataset.width = value; });
document.querySelector('.switches').addEventListener('submit', (event) => event.preventDefault());

// ---- The views

function show() {
  const trying = location.hash === '#templates';
  $('view-templates').hidden = !trying;
  $('view-spaces').hidden = trying;
  for (const [id, current] of [['to-spaces', !trying], ['to-templates', trying]]) {
    if (current) $(id).setAttribute('aria-current', 'page');
    else $(id).removeAttribute('aria-current');
  }
  if (!trying) select(new URLSearchParams(location.hash.slice(1)).get('space') || selected);
}

// ---- The spaces

const kept = 500; // messages of a space that the page shows
let spaces = new Map(); // by place: {place, title, kind, threads: Map, messages: Map, unread}
let selected = '';
let whole = false; // whether all that there is has arrived

function spaceAt(place) {
  if (!spaces.has(place)) {
    spaces.set(place, { place, title: place, kind: 'no longer in the config', messages: new Map(), unread: 0 });
  }
  return spaces.get(place);
}

// setup takes what the preview runs with.
function setup(s) {
  const before = spaces;
  spaces = new Map();
  for (const { place, names, kind } of s.spaces) {
    const old = before.get(place);
    spaces.set(place, { place, title: names.join(', '), kind, messages: old?.messages || new Map(), unread: old?.unread || 0 });
  }
  for (const [place, old] of before) {
    if (!spaces.has(place) && old.messages.size > 0) spaces.set(place, { ...old, kind: 'no longer in the config' });
  }
  if (!spaces.has(selected)) {
    selected = [...spaces.keys()][0] || '';
    if (whole) drawStream();
  }
  listSpaces();
  notice('fault', s.fault && [element('strong', {}, 'What is on disk cannot be used, and what was there before is in use. '), element('pre', {}, s.fault)]);
  notice('warnings', s.warnings && [element('strong', {}, 'The config may not do what was meant. '), element('pre', {}, s.warnings.join('\n'))]);
  templates.take(s);
}

// notice shows a notice, or takes it away where there is nothing to say.
function notice(id, content) {
  $(`notice-${id}`)?.remove();
  if (content) $('notices').append(element('div', { id: `notice-${id}`, className: 'notice warn' }, ...content));
}

function listSpaces() {
  fill($('space-name'), spaces.get(selected)?.title ?? 'No space');
  const focused = document.activeElement?.dataset?.place;
  fill($('space-list'), ...[...spaces.values()].map((space) => {
    const link = element('a', { href: `#space=${encodeURIComponent(space.place)}` },
      element('bdi', {}, space.title), element('span', { className: 'kind' }, space.kind));
    link.dataset.place = space.place;
    if (space.unread) {
      link.append(element('span', { className: 'unread' }, String(space.unread), element('span', { className: 'unseen' }, ' new')));
    }
    if (space.place === selected) link.setAttribute('aria-current', 'true');
    return element('li', {}, link);
  }));
  if (focused) [...$('space-list').querySelectorAll('a')].find((a) => a.dataset.place === focused)?.focus({ preventScroll: true });
}

function select(place) {
  if (place !== selected || !$('stream').hasChildNodes()) {
    selected = place;
    drawStream();
  }
  const space = spaces.get(place);
  if (space) space.unread = 0;
  $('to-spaces').href = `#space=${encodeURIComponent(place)}`;
  listSpaces();
}

// drawStream draws all messages of the selected space, and goes to the newest. In
// a view that is hidden nothing can be scrolled: select draws it when it is shown.
function drawStream() {
  const space = spaces.get(selected);
  fill($('stream'));
  $('newer').hidden = true;
  shownAs = null;
  if (!space && whole) $('stream').append(element('p', { className: 'empty' }, 'There is no such space.'));
  if (!space || $('view-spaces').hidden) return;
  shownAs = signature();
  for (const message of space.messages.values()) place(message);
  if (space.messages.size === 0) $('stream').append(element('p', { className: 'empty' }, 'No message yet.'));
  toEnd();
}

let shownAs = null; // the signature of what the stream shows; null while it shows nothing

// signature tells one state of the selected space from another.
function signature() {
  return [selected, ...[...(spaces.get(selected)?.messages.values() || [])].map((m) => `${m.name} ${m.version}`)].join('\n');
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });

function time(at) {
  return element('time', { dateTime: at, title: at }, clock.format(new Date(at)));
}

// article draws a message with who wrote it and when.
function article(message) {
  const body = element('div', { className: 'body', innerHTML: message.html });
  const head = element('header', {}, element('strong', {}, 'alertchat'), ' ', element('span', { className: 'badge' }, 'App'), ' ', time(message.at));
  if (message.edited) head.append(' ', element('span', { className: 'edited', title: message.edited }, 'Edited'));
  const a = element('article', {}, element('span', { className: 'avatar', ariaHidden: 'true' }, 'a'), head, body);
  a.dataset.name = message.name;
  a.setAttribute('aria-label', message.text.split('\n')[0] || 'message');
  dress(body);
  return a;
}

function articleOf(name) {
  return [...$('stream').querySelectorAll('article')].find((a) => a.dataset.name === name);
}

// keeping draws anew what stands in an element, and has the reader stay at the
// same place: what was open is open, and what had the focus has it.
function keeping(old, draw) {
  const controls = (e) => [...e.querySelectorAll('a, button')];
  const at = controls(old).indexOf(document.activeElement);
  const open = [...old.querySelectorAll('[aria-expanded]')].map((e) => e.getAttribute('aria-expanded') === 'true');
  const drawn = draw();
  [...drawn.querySelectorAll('[aria-expanded]')].forEach((e, i) => { if (open[i] && !e.hasAttribute('aria-haspopup')) e.click(); });
  if (at >= 0) controls(drawn)[at]?.focus();
}

// forget takes a message away that is no longer kept, and its thread with the last.
function forget(name) {
  const a = articleOf(name);
  const thread = a?.closest('.thread');
  a?.remove();
  if (thread && !thread.querySelector('article')) thread.remove();
}

// place puts a message into the stream: an edited one where it was, a reply at the
// end of its thread, any other at the end.
function place(message) {
  const stream = $('stream');
  stream.querySelector(':scope > .empty')?.remove();
  const drawn = article(message);
  const old = articleOf(message.name);
  if (old) {
    keeping(old, () => { old.replaceWith(drawn); return drawn; });
    return drawn;
  }
  let thread = [...stream.children].find((t) => t.dataset.thread === message.thread);
  if (!thread) {
    thread = element('div', { className: 'thread' });
    thread.dataset.thread = message.thread;
    stream.append(thread);
  }
  thread.append(drawn);
  return drawn;
}

// arrive takes a message that is new or was edited.
function arrive(message) {
  const space = spaceAt(message.place);
  const known = space.messages.get(message.name);
  if (known && known.version >= message.version) return;
  space.messages.set(message.name, message);
  const gone = space.messages.size > kept ? space.messages.keys().next().value : '';
  space.messages.delete(gone);
  if (!whole) return;
  if (message.place === selected && !$('view-spaces').hidden) {
    const stayed = atEnd();
    const its = place(message);
    its.classList.add('fresh');
    forget(gone);
    const last = its === $('stream').querySelector('.thread:last-child article:last-child');
    if (stayed && last) toEnd();
    else if (!known) newer(its);
    shownAs = signature();
  } else {
    space.unread++;
    if (message.place === selected) drawStream();
  }
  listSpaces();
  $('arrival').textContent = `${space.title}: ${known ? 'edited' : 'new'}: ${message.text.split('\n')[0]}`;
}

function atEnd() {
  const stream = $('stream');
  return stream.scrollHeight - stream.scrollTop - stream.clientHeight < 80;
}

function toEnd() { $('stream').scrollTop = $('stream').scrollHeight; }

// newer says that there is a message out of sight.
let unseen = null;
function newer(drawn) {
  unseen = drawn;
  $('newer').hidden = false;
}
$('newer').addEventListener('click', () => {
  unseen?.scrollIntoView({ block: 'center' });
  $('newer').hidden = true;
  $('stream').focus({ preventScroll: true });
});
$('stream').addEventListener('scroll', () => { if (atEnd()) $('newer').hidden = true; });

// listen connects, and connects again where the browser would not.
let events = null;
function listen() {
  events?.close();
  events = new EventSource('events');
  const mine = events;
  const on = (name, handle) => mine.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  mine.addEventListener('open', () => {
    notice('gone');
    whole = false;
    for (const space of spaces.values()) space.messages.clear();
  });
  on('setup', setup);
  on('message', arrive);
  on('whole', () => {
    whole = true;
    // Who comes back to a tab finds it as it was, if nothing came meanwhile.
    if (signature() !== shownAs) drawStream();
    document.body.dataset.ready = 'true';
  });
  mine.addEventListener('error', () => {
    notice('gone', ['The preview is not reachable: has it ended? This page connects again once it is back.']);
    if (mine.readyState === EventSource.CLOSED) setTimeout(() => { if (mine === events && !document.hidden) listen(); }, 5000);
  });
}

// A browser has few connections for all pages of one origin: a page that nobody
// sees gives up its own.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) events?.close();
  else listen();
});

// ---- Posting

let samples = []; // {name, about, payloads}
const begun = new Map(); // since when an alert fires that was posted here, by its labels
const over = new Set(); // the labels of those that were ended here

// timed gives alerts their times. One that fires after its end begins anew, else
// it would be taken for late news. Those of samples begin when they are posted.
function timed(payload, status, isSample) {
  const p = structuredClone(payload);
  const now = new Date().toISOString();
  for (const alert of p.alerts) {
    if (status) alert.status = status;
    const key = JSON.stringify(alert.labels);
    const known = begun.get(key);
    if (known || isSample || over.has(key)) alert.startsAt = known ?? now;
    if (alert.status === 'resolved') {
      alert.endsAt = now;
      begun.delete(key);
      over.add(key);
    } else {
      alert.endsAt = '0001-01-01T00:00:00Z';
      begun.set(key, alert.startsAt);
    }
  }
  if (status) p.status = status;
  return p;
}

// post posts payloads as Alertmanager does, and says what came of it.
async function post(payloads, where) {
  where.textContent = '';
  try {
    for (const payload of payloads) {
      await json('../alertmanager', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(payload) });
    }
    where.textContent = payloads.length === 1 ? 'Posted.' : `${payloads.length} payloads posted.`;
  } catch (error) {
    where.textContent = `Not posted: ${error.message}`;
  }
}

async function loadSamples() {
  samples = await json('samples');
  const options = (of) => of.map((s) => element('option', { value: s.name }, `${s.name}: ${s.about}`));
  // The end of a sample is posted by the other button.
  fill($('sample'), ...options(samples.filter((s) => s.name !== 'resolved')), element('option', { value: '' }, 'your own, of Templates'));
  fill($('trial-sample'), ...options(samples.filter((s) => s.payloads.length === 1)), element('option', { value: '' }, 'your own'));
}

const sampleOf = (list) => samples.find((s) => s.name === list.value);

$('post').addEventListener('submit', (event) => {
  event.preventDefault();
  const end = event.submitter?.value === 'resolved' ? 'resolved' : '';
  const chosen = sampleOf($('sample'));
  if (chosen) post(chosen.payloads.map((p) => timed(p, end, true)), $('posted'));
  else postOwn(end, $('posted'));
});

// postOwn posts the payload that stands in the editor, or its end.
function postOwn(end, where) {
  let own;
  try {
    own = JSON.parse(payload.text);
  } catch (error) {
    where.textContent = `Not posted: the payload of Templates is no JSON: ${error.message}`;
    return;
  }
  if (!Array.isArray(own?.alerts) || own.alerts.some((alert) => !alert || typeof alert !== 'object')) {
    where.textContent = 'Not posted: the payload of Templates has no list of alerts.';
    return;
  }
  post([timed(own, end, false)], where);
}
$('post-own').addEventListener('click', () => postOwn('', $('own-posted')));
$('resolve-own').addEventListener('click', () => postOwn('resolved', $('own-posted')));

// ---- The editor

// An Editor is a text area with line numbers, some of them marked.
class Editor {
  constructor(id, changed) {
    this.area = $(id);
    this.gutter = this.area.parentElement.querySelector('.gutter');
    this.faults = $(`${id}-faults`);
    this.lines = 0;
    this.area.addEventListener('input', () => { this.number(); changed(); });
    this.area.addEventListener('scroll', () => { this.gutter.scrollTop = this.area.scrollTop; });
  }

  get text() { return this.area.value; }

  set text(value) {
    this.area.value = value;
    this.number();
    this.area.scrollTop = 0;
  }

  number(marked = new Set()) {
    const lines = this.text.split('\n').length;
    if (lines === this.lines && marked.size === 0 && !this.marked) return;
    this.lines = lines;
    this.marked = marked.size > 0;
    const pieces = [];
    let plain = '';
    for (let i = 1; i <= lines; i++) {
      if (!marked.has(i)) {
        plain += `${i}\n`;
        continue;
      }
      pieces.push(plain, element('mark', {}, `${i}`), '\n');
      plain = '';
    }
    fill(this.gutter, ...pieces, plain);
    this.gutter.scrollTop = this.area.scrollTop;
  }

  // tell shows faults, with a button to go to each one that has a place here.
  tell(faults) {
    this.number(new Set(faults.filter((f) => f.here).map((f) => f.line)));
    fill(this.faults, ...faults.map((f) => {
      const item = element('li');
      const where = f.line ? `line ${f.line}${f.column ? `, column ${f.column}` : ''}` : '';
      if (f.here && f.line) {
        const go = element('button', { type: 'button' }, where);
        go.addEventListener('click', () => this.go(f.line, f.column));
        item.append(go, ': ');
      } else if (f.source || where) {
        item.append(element('bdi', {}, [f.source, where].filter(Boolean).join(', ')), ': ');
      }
      item.append(element('bdi', {}, f.message));
      if (f.near) item.append(element('pre', {}, f.near));
      return item;
    }));
  }

  go(line, column) {
    const before = this.text.split('\n').slice(0, line - 1);
    const start = before.reduce((n, l) => n + l.length + 1, 0);
    const end = this.text.indexOf('\n', start);
    // The column counts bytes.
    const bytes = new TextEncoder().encode(this.text.slice(start, end < 0 ? undefined : end));
    const at = start + (column ? new TextDecoder().decode(bytes.slice(0, column - 1)).length : 0);
    this.area.focus();
    this.area.setSelectionRange(at, end < 0 ? this.text.length : end);
    this.area.scrollTop = this.area.scrollHeight * ((line - 3) / this.lines);
  }
}

// templates is the view in which templates are tried out.
const templates = {
  loaded: '', // when the config was that is in use
  fault: undefined, // why the one on disk, of which the sources are, is not
  names: [],
  sources: new Map(), // the texts as they are on disk, by name
  drafts: new Map(), // what is being written: {text, base}, where base is what was on disk then
  waiting: 0,
  running: null, // of the request that is under way
  telling: 0,
  own: '', // the payload that was written last

  async take(s) {
    const names = s.spaces.flatMap((space) => space.names);
    if (names.join('\n') !== this.names.join('\n')) {
      const chosen = $('trial-space').value;
      this.names = names;
      fill($('trial-space'), ...names.map((n) => element('option', { value: n }, n)));
      if (names.includes(chosen)) $('trial-space').value = chosen;
    }
    if (s.loaded !== this.loaded || s.fault !== this.fault) {
      this.loaded = s.loaded;
      this.fault = s.fault;
      await this.load();
    }
  },

  // load fetches the sources of the space, and keeps what is being written.
  async load() {
    const space = $('trial-space').value;
    let found;
    try {
      found = await json(`sources?space=${encodeURIComponent(space)}`);
      if (space !== $('trial-space').value) return; // another one was chosen meanwhile
    } catch (error) {
      this.say([], [], [{ message: error.message }]);
      return;
    }
    this.sources = new Map(found.map((s) => [s.name, s.text]));
    // The same string of the other space, if another one was chosen.
    const chosen = $('source').value.replace(/^spaces\[.*?\]/, () => `spaces[${space}]`);
    const names = [...this.sources.keys()];
    const options = (of) => of.map((name) => element('option', { value: name }, name));
    fill($('source'),
      element('optgroup', { label: 'Files' }, ...options(names.filter((n) => !n.startsWith('spaces[')))),
      element('optgroup', { label: 'In the config' }, ...options(names.filter((n) => n.startsWith('spaces[')))));
    if (this.sources.has(chosen)) $('source').value = chosen;
    this.open();
  },

  // open puts the chosen source into the editor, as it is being written or on disk.
  open() {
    const name = $('source').value;
    const want = this.drafts.get(name)?.text ?? this.sources.get(name) ?? '';
    if (text.text !== want) text.text = want;
    this.mark();
    this.render();
  },

  // mark shows which sources are being written.
  mark() {
    const name = $('source').value;
    const draft = this.drafts.get(name);
    $('discard').hidden = !draft;
    $('source-changed').hidden = !draft || draft.base === this.sources.get(name);
    for (const o of $('source').querySelectorAll('option')) o.textContent = o.value + (this.drafts.has(o.value) ? ' (changed)' : '');
  },

  // write keeps what is being written, also while another source is in the editor.
  write() {
    const name = $('source').value;
    const onDisk = this.sources.get(name);
    if (text.text === onDisk) this.drafts.delete(name);
    else this.drafts.set(name, { text: text.text, base: this.drafts.get(name)?.base ?? onDisk });
    this.mark();
    this.soon();
  },

  discard() {
    this.drafts.delete($('source').value);
    this.open();
    text.area.focus();
  },

  soon() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.render(), 150);
  },

  // edits are the drafts that the space is made of.
  edits() {
    return [...this.drafts].filter(([name]) => this.sources.has(name)).map(([name, draft]) => ({ name, text: draft.text }));
  },

  // render has the templates tried out; a newer request takes the place of this one.
  async render() {
    clearTimeout(this.waiting);
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    if (!$('source').value || (!payload.text && samples.length === 0)) return; // they are not there yet
    try {
      const result = await json('render', {
        method: 'POST',
        signal: running.signal,
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ space: $('trial-space').value, edits: this.edits(), payload: payload.text }),
      });
      this.show(result);
    } catch (error) {
      if (error.name !== 'AbortError') this.say([], [], [{ message: error.message }]);
    }
  },

  show(result) {
    const { messages, notes, faults, limits } = result;
    const failed = result.payload || (faults.length > 0 && messages.length === 0);
    // While something cannot be read, the last result is worth more than none.
    if (!failed) {
      keeping($('result'), () => {
        fill($('result'), ...messages.map((m) => element('article', { innerHTML: m.html })));
        if (messages.length === 0) $('result').append(element('p', { className: 'empty' }, 'Nothing is sent.'));
        dress($('result'));
        return $('result');
      });
      $('json').textContent = messages.map((m) => JSON.stringify(m.json, null, 2)).join('\n');
    }
    $('result').classList.toggle('stale', Boolean(failed));
    const sizes = failed ? ['It cannot be rendered; below is the last result.']
      : messages.map((m) => `${m.bytes.toLocaleString('en')} of ${limits.bytes.toLocaleString('en')} bytes, ${m.widgets} of ${limits.widgets} widgets`);
    this.say(sizes, notes, faults.map((f) => ({ ...f, here: f.source === $('source').value })));
    payload.tell(result.payload ? [{ ...result.payload, here: true }] : []);
  },

  say(sizes, notes, faults) {
    if (sizes.length > 1) sizes = sizes.map((s, i) => `message ${i + 1}: ${s}`);
    fill($('size'), ...sizes.map((s) => element('li', {}, s)));
    fill($('mended'), ...notes.map((n) => element('li', {}, element('bdi', {}, n))));
    text.tell(faults);
    clearTimeout(this.telling);
    // Whoever only hears it is told once the writing rests.
    this.telling = setTimeout(() => {
      const told = [...faults.map((f) => `${f.line ? `line ${f.line}: ` : ''}${f.message}`), ...notes].join('. ') || 'No fault.';
      if ($('told').textContent !== told) $('told').textContent = told;
    }, 1000);
  },

  // take a sample's payload.
  sample() {
    const s = sampleOf($('trial-sample'));
    if (s) payload.text = JSON.stringify(s.payloads[0], null, 2);
    else if (this.own) payload.text = this.own;
    this.render();
  },
};

const text = new Editor('text', () => templates.write());
const payload = new Editor('payload', () => {
  $('trial-sample').value = '';
  templates.own = payload.text;
  $('own-posted').textContent = '';
  templates.soon();
});
$('trial-space').addEventListener('change', () => templates.load());
$('source').addEventListener('change', () => templates.open());
$('discard').addEventListener('click', () => templates.discard());
$('trial-sample').addEventListener('change', () => templates.sample());

// What is being written is nowhere else.
addEventListener('beforeunload', (event) => { if (templates.drafts.size > 0) event.preventDefault(); });

// ---- Begin

document.querySelector('main').hidden = false;
document.querySelector('.switches').hidden = false;
addEventListener('hashchange', show);
loadSamples().then(() => templates.sample()).catch((error) => notice('samples', [`The samples cannot be loaded: ${error.message}`]));
show();
listen();
