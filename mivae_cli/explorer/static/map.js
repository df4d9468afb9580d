"use strict";
// The map: points are written into the pixels of one canvas, marks are drawn on a second one.
// Plain pixels draw 100,000 points in milliseconds on every machine; WebGL does not without a GPU.

mivae.LatentMap = class {
  constructor(box, points, marks, axes, bounds) {
    Object.assign(this, {box, points, marks, axes, bounds});
    this.count = 0;
    this.positions = new Float32Array(0);
    this.values = null;
    this.colour = null;
    this.paint = new Uint32Array(0);
    this.focus = null; // Uint8Array: 1 for points of the selection
    this.selected = -1;
    this.path = [];
    this.placed = [];
    this.cursor = null; // in pixels of the page, from the keyboard or the pointer
    this.lasso = null; // the places of its corners, which stay when the view changes
    this.lassoMode = false;
    this.dirty = {points: true, marks: true};
    new ResizeObserver(() => this.#resize()).observe(box);
    this.#resize();
    this.reset();
  }

  // ---- data ----

  append(coordinates) {
    const grown = new Float32Array(this.positions.length + coordinates.length);
    grown.set(this.positions);
    grown.set(coordinates, this.positions.length);
    this.positions = grown;
    this.count = grown.length / 2;
    this.repaint();
  }

  setColour(colour, values) {
    this.colour = colour;
    this.values = values;
    this.repaint();
  }

  // Computes the pixel of every point, for the theme and the chosen colour.
  repaint() {
    const theme = mivae.theme(), missing = mivae.pixel(theme === "dark" ? "#59626b" : "#a9b1b9");
    this.paint = new Uint32Array(this.count).fill(missing);
    if (this.values && this.colour.kind === "category") {
      const hues = mivae.CATEGORIES[theme].map(mivae.pixel);
      for (let i = 0; i < Math.min(this.count, this.values.length); i++) {
        const k = this.values[i];
        if (k >= 0 && k < hues.length) this.paint[i] = hues[k];
      }
    } else if (this.values) {
      const ramp = mivae.rampPixels(), [low, high] = this.colour.range;
      const scale = high > low ? 255 / (high - low) : 0;
      for (let i = 0; i < Math.min(this.count, this.values.length); i++) {
        const v = this.values[i];
        if (v === v) this.paint[i] = ramp[Math.max(0, Math.min(255, Math.round((v - low) * scale)))];
      }
    }
    this.draw();
  }

  setFocus(indices) {
    this.focus = indices && new Uint8Array(this.count);
    for (const i of indices ?? []) this.focus[i] = 1;
    this.draw();
  }

  select(index) { this.selected = index; this.draw("marks"); }
  setPath(path) { this.path = path; this.draw("marks"); }
  setPlaced(places) { this.placed = places; this.draw("marks"); }

  setLassoMode(on) {
    this.lassoMode = on;
    this.lasso = null;
    this.draw("marks");
  }

  // ---- the view: `scale` pixels of the page per unit, around `centre` ----

  reset() {
    const [x0, x1, y0, y1] = this.bounds;
    this.centre = [(x0 + x1) / 2, (y0 + y1) / 2];
    const least = x1 > x0 || y1 > y0 ? 1e-9 : 1; // all sentences may have one place
    this.home = Math.min((this.width - 60) / Math.max(x1 - x0, least), (this.height - 50) / Math.max(y1 - y0, least));
    this.scale = Math.max(this.home, 1e-9);
    this.draw();
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.place(px, py);
    this.scale = Math.min(Math.max(this.scale * factor, this.home / 8), this.home * 4000);
    this.centre = [x - (px - this.width / 2) / this.scale, y + (py - this.height / 2) / this.scale];
    this.draw();
  }

  pan(dx, dy) {
    this.centre = [this.centre[0] - dx / this.scale, this.centre[1] + dy / this.scale];
    this.draw();
  }

  place(px, py) {
    return [this.centre[0] + (px - this.width / 2) / this.scale, this.centre[1] - (py - this.height / 2) / this.scale];
  }

  pixels(x, y) {
    return [(x - this.centre[0]) * this.scale + this.width / 2, this.height / 2 - (y - this.centre[1]) * this.scale];
  }

  // Brings a place into view if it is outside.
  reveal(x, y) {
    const [px, py] = this.pixels(x, y);
    if (px < 20 || py < 20 || px > this.width - 20 || py > this.height - 20) {
      this.centre = [x, y];
      this.draw();
    }
  }

  // Index of the point nearest to a pixel, within `reach` pixels; -1 if there is none.
  nearest(px, py, reach) {
    const [x, y] = this.place(px, py);
    let best = reach === Infinity ? Infinity : (reach / this.scale) ** 2, found = -1;
    for (let i = 0; i < this.count; i++) {
      if (this.focus && !this.focus[i]) continue;
      const dx = this.positions[2 * i] - x, dy = this.positions[2 * i + 1] - y, d = dx * dx + dy * dy;
      if (d < best) { best = d; found = i; }
    }
    return found;
  }

  // ---- drawing ----

  draw(what = "points") {
    this.dirty.marks = true;
    if (what === "points") this.dirty.points = true;
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      if (this.dirty.points) this.#drawPoints();
      this.#drawMarks();
      this.dirty = {points: false, marks: false};
    });
  }

  #resize() {
    const box = this.box.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    this.width = Math.max(1, Math.round(box.width));
    this.height = Math.max(1, Math.round(box.height));
    this.ratio = ratio;
    for (const canvas of [this.points, this.marks]) {
      canvas.width = Math.round(this.width * ratio);
      canvas.height = Math.round(this.height * ratio);
    }
    this.image = this.points.getContext("2d").createImageData(this.points.width, this.points.height);
    if (this.centre) this.draw();
  }

  #drawPoints() {
    const started = performance.now();
    const {width, height} = this.image, buffer = new Uint32Array(this.image.data.buffer);
    buffer.fill(0);
    const s = this.scale * this.ratio, positions = this.positions;
    const ox = width / 2 - this.centre[0] * s, oy = height / 2 + this.centre[1] * s;
    const r = this.radius();
    const disc = mivae.disc(r).map(([dx, dy]) => dy * width + dx);
    const edge = Math.ceil(r) + 1, faded = mivae.pixel(mivae.theme() === "dark" ? "#3a4149" : "#d5dadf");
    const passes = this.focus ? [0, 1] : [-1];
    for (const pass of passes) {
      for (let i = 0; i < this.count; i++) {
        if (pass >= 0 && this.focus[i] !== pass) continue;
        const px = Math.round(positions[2 * i] * s + ox), py = Math.round(oy - positions[2 * i + 1] * s);
        if (px < edge || py < edge || px >= width - edge || py >= height - edge) continue;
        const at = py * width + px, colour = pass === 0 ? faded : this.paint[i];
        for (let k = 0; k < disc.length; k++) buffer[at + disc[k]] = colour;
      }
    }
    this.points.getContext("2d").putImageData(this.image, 0, 0);
    this.drawTime = performance.now() - started; // milliseconds, read by the benchmark
  }

  // Radius of a point in device pixels: small for many points, larger when zoomed in.
  radius() {
    const zoom = Math.log2(Math.max(1, this.scale / this.home));
    const base = this.count > 50000 ? 0.8 : this.count > 8000 ? 1.2 : 2.2;
    return Math.min(base + 0.5 * zoom, 5) * this.ratio;
  }

  #drawMarks() {
    const g = this.marks.getContext("2d"), style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    g.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    g.clearRect(0, 0, this.width, this.height);
    this.#drawAxes(g, colour);
    g.strokeStyle = g.fillStyle = colour("--ink");
    if (this.path.length > 1) {
      g.lineWidth = 2;
      g.beginPath();
      this.path.forEach(([x, y], i) => { const [px, py] = this.pixels(x, y); i ? g.lineTo(px, py) : g.moveTo(px, py); });
      g.stroke();
      for (const [x, y] of this.path) this.#dot(g, ...this.pixels(x, y), 3.5);
    }
    g.font = "600 13px system-ui, sans-serif";
    for (const {x, y} of this.placed) this.#dot(g, ...this.pixels(x, y), 5);
    const taken = [];
    for (const {x, y, label} of this.placed) this.#label(g, label, ...this.pixels(x, y), taken, colour("--paper"));
    if (this.selected >= 0 && this.selected < this.count) {
      const [px, py] = this.pixels(this.positions[2 * this.selected], this.positions[2 * this.selected + 1]);
      for (const [r, c] of [[9, "--paper"], [7, "--ink"]]) {
        g.strokeStyle = colour(c);
        g.lineWidth = 2.5;
        g.beginPath();
        g.arc(px, py, r, 0, 2 * Math.PI);
        g.stroke();
      }
    }
    g.strokeStyle = colour("--accent");
    if (this.lasso) {
      g.lineWidth = 1.5;
      g.setLineDash([5, 4]);
      g.beginPath();
      this.lasso.forEach((place, i) => i ? g.lineTo(...this.pixels(...place)) : g.moveTo(...this.pixels(...place)));
      g.closePath();
      g.stroke();
      g.setLineDash([]);
    } else if (this.cursor) {
      const [px, py] = this.cursor;
      g.lineWidth = 1.5;
      g.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        g.moveTo(px + 4 * dx, py + 4 * dy);
        g.lineTo(px + 13 * dx, py + 13 * dy);
      }
      g.stroke();
    }
  }

  // Text with an outline in the colour of the paper, legible on points.
  #text(g, text, px, py, paper) {
    const {strokeStyle, lineWidth} = g;
    Object.assign(g, {strokeStyle: paper, lineWidth: 4, lineJoin: "round"});
    g.strokeText(text, px, py);
    Object.assign(g, {strokeStyle, lineWidth});
    g.fillText(text, px, py);
  }

  // A label beside its point, where it covers no other label and lies inside the map if possible.
  #label(g, label, px, py, taken, paper) {
    const width = g.measureText(label).width, right = px + 8, left = px - 8 - width;
    const places = [[right, py - 6], [right, py + 16], [left, py - 6], [left, py + 16], [right, py - 22], [right, py + 32]];
    const free = ([x, y]) => x >= 2 && x + width <= this.width - 2 && y >= 12 && y <= this.height - 2
      && taken.every(([a, b, w]) => x > a + w || x + width < a || Math.abs(y - b) > 14);
    const [x, y] = places.find(free) ?? places[0];
    taken.push([x, y, width]);
    this.#text(g, label, x, y, paper);
  }

  #dot(g, px, py, r) {
    g.beginPath();
    g.arc(px, py, r, 0, 2 * Math.PI);
    g.fill();
  }

  #drawAxes(g, colour) {
    const ticks = (low, high) => {
      const raw = (high - low) / 7, power = 10 ** Math.floor(Math.log10(raw));
      const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw);
      const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
      const found = [];
      for (let t = Math.ceil(low / step) * step; t <= high; t += step) found.push([t, mivae.format(t, digits)]);
      return found;
    };
    const paper = colour("--paper");
    g.font = "11px system-ui, sans-serif";
    g.fillStyle = colour("--muted");
    g.strokeStyle = colour("--line");
    g.lineWidth = 1;
    const [x0, y1] = this.place(0, 0), [x1, y0] = this.place(this.width, this.height);
    g.textAlign = "center";
    for (const [t, text] of ticks(x0, x1)) {
      const [px] = this.pixels(t, 0);
      if (px < 50 || px > this.width - 20) continue;
      g.beginPath(); g.moveTo(px, this.height); g.lineTo(px, this.height - 5); g.stroke();
      this.#text(g, text, px, this.height - 8, paper);
    }
    g.textAlign = "left";
    for (const [t, text] of ticks(y0, y1)) {
      const [, py] = this.pixels(0, t);
      if (py < 12 || py > this.height - 34) continue;
      g.beginPath(); g.moveTo(0, py); g.lineTo(5, py); g.stroke();
      this.#text(g, text, 8, py + 4, paper);
    }
    g.textAlign = "right";
    this.#text(g, this.axes[0], this.width - 8, this.height - 22, paper);
    g.textAlign = "left";
    this.#text(g, this.axes[1], 8, 14, paper);
  }
};

// Offsets of the pixels of a point with radius r: a square of two by two pixels if it is small.
mivae.disc = function (r) {
  if (r < 1.5) return [[0, 0], [1, 0], [0, 1], [1, 1]];
  const found = [];
  for (let dy = -Math.ceil(r); dy <= r; dy++) {
    for (let dx = -Math.ceil(r); dx <= r; dx++) if (dx * dx + dy * dy <= r * r + 0.3) found.push([dx, dy]);
  }
  return found;
};
