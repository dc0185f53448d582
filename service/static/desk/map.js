// The map: every essay a point, drawn on a canvas in one pass a frame. A grid finds the point under the pointer.
(() => {
  const STEPS = 65535; // places come as whole numbers from 0 to this
  const CELLS = 256; // of the grid, a side
  const COLOURS = 8; // the greatest categories have one each, the others share a grey
  const HUB = 1, ORPHAN = 2, TWIN = 4;
  const NEAR = 12; // pixels around the pointer within which a point is meant
  const MOST_ZOOM = 400;
  const GLIDE_MS = 280;

  const canvas = document.getElementById("map");
  if (!canvas) return;
  const { make, suggest } = window.desk;
  const context = canvas.getContext("2d");
  const told = document.getElementById("map-told");
  const tip = make("p", { className: "tip", hidden: true, dir: "auto" });
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const cut = (text, most) => (text.length > most ? `${[...text].slice(0, most).join("")}\u2026` : text);

  let points = null; // as they came, with arrays made for drawing
  let view = { zoom: 1, x: 0.5, y: 0.5 }; // the part of the unit square in the middle, and how large it is shown
  let chosen = null; // {number, out, in}: an essay's links
  let hovered = -1;
  let colours = {};
  let size = { width: 0, height: 0, scale: 1 };

  // ---- What came

  /** The columns as typed arrays, points ordered by colour, and the grid over them. */
  function arrange(body) {
    const count = body.ids.length;
    const x = Float32Array.from(body.x, (value) => value / STEPS), y = Float32Array.from(body.y, (value) => value / STEPS);
    const totals = new Map();
    for (const category of body.category) totals.set(category, (totals.get(category) ?? 0) + 1);
    const greatest = [...totals.keys()].filter((category) => category >= 0).sort((a, b) => totals.get(b) - totals.get(a) || a - b);
    const colourOf = new Map(greatest.slice(0, COLOURS).map((category, colour) => [category, colour]));
    const groups = Array.from({ length: COLOURS + 1 }, () => []);
    for (let i = 0; i < count; i++) groups[colourOf.get(body.category[i]) ?? COLOURS].push(i);
    const marked = (mark) => Uint32Array.from([...Array(count).keys()].filter((i) => body.marks[i] & mark));
    return {
      ...body, count, x, y, totals, colourOf, legend: [...greatest, ...(totals.has(-1) ? [-1] : [])],
      groups: groups.map((group) => Uint32Array.from(group)), hubs: marked(HUB), twins: marked(TWIN),
      category: Int32Array.from(body.category), marks: Uint8Array.from(body.marks),
      numbers: new Map(body.ids.map((id, i) => [id, i])), grid: gridOf(x, y), off: new Set(),
    };
  }

  /** Points by cell: starts[c] to starts[c + 1] in order are those of cell c. */
  function gridOf(x, y) {
    const cells = Uint16Array.from(x, (value, i) => cell(value) + CELLS * cell(y[i]));
    const starts = new Uint32Array(CELLS * CELLS + 1);
    for (const c of cells) starts[c + 1]++;
    for (let c = 0; c < CELLS * CELLS; c++) starts[c + 1] += starts[c];
    const next = starts.slice(), order = new Uint32Array(x.length);
    cells.forEach((c, i) => { order[next[c]++] = i; });
    return { starts, order };
  }

  const cell = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor(value * CELLS)));

  // ---- Between the unit square and the canvas, in CSS pixels

  const unit = () => Math.min(size.width, size.height) * 0.94 * view.zoom;
  const left = (x) => (x - view.x) * unit() + size.width / 2;
  const top = (y) => (y - view.y) * unit() + size.height / 2;
  const radius = () => Math.min(7, Math.max(1, (points.count > 20000 ? 1 : points.count > 2000 ? 2 : 4.5) * Math.sqrt(view.zoom)));

  // ---- Drawing

  let frame = 0;
  const redraw = () => { frame ||= requestAnimationFrame(() => { frame = 0; draw(); }); };

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(`--${name}`).trim();
    colours = { points: [...Array.from({ length: COLOURS }, (_, i) => read(`c${i}`)), read("c-other")], ink: read("ink"), sheet: read("sheet") };
    redraw();
  }

  function draw() {
    const { width, height, scale } = size;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!points) return;
    const r = radius();
    context.globalAlpha = chosen ? 0.3 : points.count > 20000 ? 0.75 : 0.9;
    points.groups.forEach((group, colour) => drawGroup(group, colours.points[colour], r));
    drawRings(points.hubs, r + 3);
    drawTwins(r);
    context.globalAlpha = 1;
    if (chosen) drawLinks(r);
    if (hovered >= 0) drawRing(hovered, r + 3.5);
  }

  /** Points of one colour: small ones as squares, which is far faster, larger ones as discs, orphans hollow. */
  function drawGroup(group, colour, r) {
    const { x, y, marks, off, category } = points;
    const u = unit(), ox = size.width / 2 - view.x * u, oy = size.height / 2 - view.y * u, some = off.size > 0;
    const right = size.width + r, bottom = size.height + r, small = r < 2, side = 2 * r;
    const hollow = [];
    context.fillStyle = context.strokeStyle = colour;
    context.beginPath();
    for (const i of group) {
      const px = x[i] * u + ox, py = y[i] * u + oy;
      if (px < -r || py < -r || px > right || py > bottom || (some && off.has(category[i]))) continue;
      if (marks[i] & ORPHAN && r > 1.4) hollow.push(px, py);
      else if (small) context.fillRect(px - r, py - r, side, side);
      else { context.moveTo(px + r, py); context.arc(px, py, r, 0, 2 * Math.PI); }
    }
    context.fill();
    context.beginPath();
    const inner = Math.max(r - 0.75, 0.75);
    context.lineWidth = Math.min(1.5, r / 1.4);
    if (small) for (let i = 0; i < hollow.length; i += 2) context.strokeRect(hollow[i] - inner, hollow[i + 1] - inner, 2 * inner, 2 * inner);
    else for (let i = 0; i < hollow.length; i += 2) { context.moveTo(hollow[i] + inner, hollow[i + 1]); context.arc(hollow[i], hollow[i + 1], inner, 0, 2 * Math.PI); }
    context.stroke();
  }

  const isSeen = (i) => !points.off.has(points.category[i]);

  function drawRings(numbers, r) {
    context.strokeStyle = colours.ink;
    context.lineWidth = 1.2;
    context.beginPath();
    for (const i of numbers) if (isSeen(i)) circle(i, r);
    context.stroke();
  }

  function circle(i, r) {
    const px = left(points.x[i]), py = top(points.y[i]);
    if (px < -r || py < -r || px > size.width + r || py > size.height + r) return;
    context.moveTo(px + r, py);
    context.arc(px, py, r, 0, 2 * Math.PI);
  }

  /** A near-duplicate has a second small disc at its shoulder. */
  function drawTwins(r) {
    if (r < 2) return;
    context.fillStyle = colours.ink;
    context.beginPath();
    for (const i of points.twins) {
      if (!isSeen(i)) continue;
      const px = left(points.x[i]) + r + 1, py = top(points.y[i]) - r;
      if (px < 0 || py < 0 || px > size.width || py > size.height) continue;
      for (const by of [0, 3.4]) { context.moveTo(px + by + 1.3, py); context.arc(px + by, py, 1.3, 0, 2 * Math.PI); }
    }
    context.fill();
  }

  function drawRing(i, r) {
    context.strokeStyle = colours.ink;
    context.lineWidth = 2;
    context.beginPath();
    circle(i, r);
    context.stroke();
  }

  function drawLinks(r) {
    context.strokeStyle = colours.ink;
    context.lineWidth = 1.3;
    for (const [ends, dashes] of [[chosen.in, [5, 4]], [chosen.out, []]]) {
      context.setLineDash(dashes);
      context.beginPath();
      for (const i of ends) {
        context.moveTo(left(points.x[chosen.number]), top(points.y[chosen.number]));
        context.lineTo(left(points.x[i]), top(points.y[i]));
      }
      context.stroke();
    }
    context.setLineDash([]);
    for (const i of new Set([...chosen.in, ...chosen.out, chosen.number])) drawPoint(i, i === chosen.number ? r + 2.5 : Math.max(r, 3));
    drawRing(chosen.number, r + 6);
  }

  function drawPoint(i, r) {
    context.fillStyle = colours.points[points.colourOf.get(points.category[i]) ?? COLOURS];
    context.beginPath();
    circle(i, r);
    context.fill();
    context.strokeStyle = colours.sheet;
    context.lineWidth = 1;
    context.stroke();
  }

  // ---- Which point is meant

  /** The nearest point to a place on the canvas, -1 when none is near. */
  function pointAt(px, py) {
    if (!points) return -1;
    const u = unit(), near = Math.max(NEAR, radius() + 4);
    const x = (px - size.width / 2) / u + view.x, y = (py - size.height / 2) / u + view.y, far = near / u;
    let best = -1, least = far * far;
    for (let row = cell(y - far); row <= cell(y + far); row++) {
      const first = points.grid.starts[cell(x - far) + CELLS * row], end = points.grid.starts[cell(x + far) + CELLS * row + 1];
      for (let k = first; k < end; k++) {
        const i = points.grid.order[k];
        const away = (points.x[i] - x) ** 2 + (points.y[i] - y) ** 2;
        if (away < least && isSeen(i)) [best, least] = [i, away];
      }
    }
    return best;
  }

  function hover(px, py) {
    const number = px === null ? -1 : pointAt(px, py);
    if (number === hovered && number < 0) return;
    hovered = number;
    canvas.classList.toggle("over", number >= 0);
    tip.hidden = number < 0 || !points.titles;
    if (!tip.hidden) place(number);
    redraw();
  }

  function place(number) {
    tip.textContent = cut(points.titles[number], 160);
    const px = left(points.x[number]), py = top(points.y[number]);
    const x = Math.max(4, Math.min(px + 12, size.width - tip.offsetWidth - 4));
    const y = py + 16 + tip.offsetHeight > size.height ? py - tip.offsetHeight - 10 : py + 14;
    tip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }

  // ---- Moving

  let gliding = 0;
  function look(to) {
    cancelAnimationFrame(gliding);
    gliding = 0;
    view = { zoom: Math.min(MOST_ZOOM, Math.max(0.6, to.zoom)), x: Math.min(1.2, Math.max(-0.2, to.x)), y: Math.min(1.2, Math.max(-0.2, to.y)) };
    tip.hidden = true;
    redraw();
  }

  function glide(to) {
    if (still.matches) return look(to);
    const from = { ...view }, begin = performance.now();
    const go = (now) => {
      const t = Math.min(1, Math.max(0, (now - begin) / GLIDE_MS)), eased = t * (2 - t);
      const between = (a, b) => a + (b - a) * eased;
      look({ zoom: from.zoom * (to.zoom / from.zoom) ** eased, x: between(from.x, to.x), y: between(from.y, to.y) });
      if (t < 1) gliding = requestAnimationFrame(go);
    };
    gliding = requestAnimationFrame(go);
  }

  /** Zoom by a factor, so that what is at this place of the canvas stays there. */
  function zoomAt(factor, px = size.width / 2, py = size.height / 2) {
    const before = unit(), zoom = Math.min(MOST_ZOOM, Math.max(0.6, view.zoom * factor));
    const after = (before / view.zoom) * zoom;
    const shift = (p, half) => (p - half) / before - (p - half) / after;
    look({ zoom, x: view.x + shift(px, size.width / 2), y: view.y + shift(py, size.height / 2) });
  }

  const pan = (dx, dy) => look({ ...view, x: view.x - dx / unit(), y: view.y - dy / unit() });
  const reset = () => glide({ zoom: 1, x: 0.5, y: 0.5 });

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), event.offsetX, event.offsetY);
  }, { passive: false });

  const fingers = new Map(); // pointers that are down, by id
  let moved = 0;

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (fingers.size === 1) moved = 0;
  });

  canvas.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return hover(event.offsetX, event.offsetY);
    const now = [event.offsetX, event.offsetY];
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    fingers.set(event.pointerId, now);
    moved += Math.hypot(now[0] - last[0], now[1] - last[1]);
    if (moved < 4) return;
    canvas.classList.add("panning");
    if (!other) return pan(now[0] - last[0], now[1] - last[1]);
    const apart = (a) => Math.max(1, Math.hypot(a[0] - other[0], a[1] - other[1]));
    zoomAt(apart(now) / apart(last), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    pan((now[0] - last[0]) / 2, (now[1] - last[1]) / 2);
  });

  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => {
    const was = fingers.delete(event.pointerId);
    canvas.classList.remove("panning");
    if (!was || kind === "pointercancel" || moved >= 4 || fingers.size) return;
    const number = pointAt(event.offsetX, event.offsetY);
    if (number >= 0) choose(points.ids[number]);
    else forget();
  });
  canvas.addEventListener("pointerleave", () => hover(null));

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = event.shiftKey ? 200 : 60;
    const acts = {
      ArrowLeft: () => pan(by, 0), ArrowRight: () => pan(-by, 0), ArrowUp: () => pan(0, by), ArrowDown: () => pan(0, -by),
      "+": () => zoomAt(1.4), "=": () => zoomAt(1.4), "-": () => zoomAt(1 / 1.4), 0: reset, Escape: forget,
    };
    if (!Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    acts[event.key]();
  });

  // ---- The one that is chosen

  let asked = 0;
  async function choose(id, centre = false) {
    const question = ++asked;
    told.textContent = "asking\u2026";
    let links;
    try {
      const answer = await fetch(`${canvas.dataset.links}?${new URLSearchParams({ id })}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.detail ?? `The desk answered ${answer.status}.`);
      links = await answer.json();
    } catch (error) {
      if (question === asked) told.textContent = error instanceof TypeError ? "The desk does not answer." : error.message;
      return;
    }
    if (question !== asked) return;
    mark(links);
    tell(links);
    remember(id);
    if (centre) glide({ zoom: Math.max(view.zoom, 3), x: points.x[chosen.number], y: points.y[chosen.number] });
  }

  function mark(links) {
    const numbers = (ends) => ends.map((end) => points.numbers.get(end.id)).filter((number) => number !== undefined);
    const number = points.numbers.get(links.id);
    chosen = number === undefined ? null : { number, out: numbers(links.out), in: numbers(links.in) };
    redraw();
  }

  function forget() {
    asked += 1;
    chosen = null;
    told.textContent = "";
    document.getElementById("map-chosen").replaceChildren();
    remember("");
    redraw();
  }

  function remember(id) {
    canvas.dataset.chosen = id;
    const address = new URL(location.href);
    if (id) address.searchParams.set("id", id);
    else address.searchParams.delete("id");
    history.replaceState(null, "", address);
  }

  function tell(links) {
    const title = make("h2", { dir: "auto" }, make("a", { href: links.address, textContent: cut(links.title, 200) }));
    const marks = [links.category && cut(links.category, 80), links.hub && "hub", links.orphan && "orphan"].filter(Boolean).join(" \u00b7 ");
    const parts = [title, make("p", { className: "about", dir: "auto", textContent: marks })];
    for (const [words, ends] of [["It shows", links.out], ["Shown by", links.in], ["Near-duplicates", links.twins]]) {
      if (ends.length || words !== "Near-duplicates") parts.push(make("h3", { textContent: words }), listOf(ends));
    }
    document.getElementById("map-chosen").replaceChildren(...parts);
    told.textContent = `Shows ${links.out.length}, shown by ${links.in.length}.`;
  }

  function listOf(ends) {
    const link = (end) => {
      const a = make("a", { href: `?${new URLSearchParams({ id: end.id })}`, textContent: cut(end.title, 120) });
      a.dataset.id = end.id;
      return make("li", { dir: "auto" }, a);
    };
    return make("ul", {}, ...(ends.length ? ends.map(link) : [make("li", { textContent: "none" })]));
  }

  document.getElementById("map-chosen").addEventListener("click", (event) => {
    const link = event.target.closest("a[data-id]");
    if (!link || !points || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(link.dataset.id, true).then(() => document.querySelector("#map-chosen h2 a")?.focus({ preventScroll: true }));
  });

  // ---- The legend

  function showLegend() {
    const rows = points.legend.map((category) => {
      const box = make("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => { points.off[box.checked ? "delete" : "add"](category); redraw(); });
      const swatch = make("i", { className: points.colourOf.has(category) ? `c${points.colourOf.get(category)}` : "" });
      const name = make("bdi", { textContent: category < 0 ? "no category" : cut(points.categories[category], 80) });
      const count = make("span", { className: "count", textContent: points.totals.get(category).toLocaleString("en") });
      return make("li", {}, make("label", {}, box, swatch, name, count));
    });
    document.getElementById("map-categories").replaceChildren(...rows);
  }

  function showButtons() {
    const button = (words, name, act) => {
      const made = make("button", { type: "button", textContent: words, title: name });
      made.setAttribute("aria-label", name);
      made.addEventListener("click", act);
      return made;
    };
    const buttons = [button("+", "Larger", () => zoomAt(1.6)), button("\u2212", "Smaller", () => zoomAt(1 / 1.6)), button("All", "Show all of it", reset)];
    canvas.after(make("div", { className: "zoom" }, ...buttons), tip);
  }

  // ---- At the start

  new ResizeObserver(() => {
    const box = canvas.getBoundingClientRect(), scale = window.devicePixelRatio || 1;
    size = { width: canvas.clientWidth, height: canvas.clientHeight, scale };
    canvas.width = Math.round(box.width * scale);
    canvas.height = Math.round(box.height * scale);
    cancelAnimationFrame(frame);
    frame = 0;
    draw(); // at once: a canvas that was resized is empty
  }).observe(canvas);

  async function start() {
    showButtons();
    readColours();
    dark.addEventListener("change", readColours);
    const field = document.getElementById("map-q");
    field.form.addEventListener("submit", (event) => event.preventDefault());
    suggest(field, (text) => `/desk/search?${new URLSearchParams({ q: text })}`, (row) => choose(row.id, true));
    try {
      const answer = await fetch(canvas.dataset.points, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(`The desk answered ${answer.status} ${answer.statusText}.`);
      points = arrange(await answer.json());
    } catch (error) {
      told.textContent = error instanceof TypeError ? "The desk does not answer: the map cannot be drawn." : error.message;
      return;
    }
    showLegend();
    redraw();
    canvas.dataset.ready = "yes";
    if (canvas.dataset.chosen) choose(canvas.dataset.chosen);
  }

  start();
})();
