"use strict";
// Pointer, wheel and keyboard of the map: pan, zoom, choose, point, and draw the lasso.

mivae.MapInput = class {
  // `events`: onPoint(index), onPlace([x, y]), onHover([x, y] or null), onLasso(indices or null).
  constructor(map, events) {
    this.map = map;
    this.events = events;
    this.pointers = new Map(); // of each pressed pointer: where it was
    this.moved = 0; // pixels since the press
    this.#listen();
  }

  #listen() {
    const {box} = this.map, at = (event) => {
      const frame = box.getBoundingClientRect();
      return [event.clientX - frame.left, event.clientY - frame.top];
    };
    box.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.pointers.size && this.map.lasso) return;
      box.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, at(event));
      this.moved = 0;
      if (this.map.lassoMode) this.map.lasso = [this.map.place(...at(event))];
    });
    box.addEventListener("pointermove", (event) => {
      const here = at(event), before = this.pointers.get(event.pointerId);
      if (!before) {
        if (event.pointerType === "mouse") this.#moveCursor(here);
        return;
      }
      if (this.map.lasso) {
        this.map.lasso.push(this.map.place(...here));
        this.map.draw("marks");
        return;
      }
      const [dx, dy] = [here[0] - before[0], here[1] - before[1]];
      if (this.pointers.size === 2) {
        const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
        const length = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
        this.map.zoom(length(here) / Math.max(length(before), 1), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
        this.map.pan(dx / 2, dy / 2);
        this.moved = Infinity;
      } else {
        this.moved += Math.abs(dx) + Math.abs(dy);
        if (this.moved > 4) {
          this.map.cursor = null;
          this.map.pan(dx, dy);
        }
      }
      this.pointers.set(event.pointerId, here);
    });
    const end = (event) => {
      if (!this.pointers.delete(event.pointerId)) return;
      if (this.map.lasso && event.type === "pointercancel") this.map.setLassoMode(true);
      else if (this.map.lasso) this.#finishLasso();
      else if (event.type === "pointerup" && this.moved <= 4) this.#click(at(event), event.pointerType === "mouse" ? 9 : 22);
    };
    box.addEventListener("pointerup", end);
    box.addEventListener("pointercancel", end);
    box.addEventListener("pointerleave", () => {
      this.map.cursor = null;
      this.map.draw("marks");
      this.events.onHover(null);
    });
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.map.zoom(Math.exp(-Math.max(-200, Math.min(200, event.deltaY)) * 0.0022), ...at(event));
    }, {passive: false});
    box.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 60 : 12;
    const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
    const [px, py] = this.map.cursor ?? [this.map.width / 2, this.map.height / 2];
    if (moves[event.key]) {
      const [dx, dy] = moves[event.key];
      this.#moveCursor([px + dx, py + dy]);
      const out = (v, size) => v < 0 ? -v : v > size ? size - v : 0;
      const [ox, oy] = [out(px + dx, this.map.width), out(py + dy, this.map.height)];
      if (ox || oy) {
        this.map.pan(ox, oy);
        this.map.cursor = [px + dx + ox, py + dy + oy];
      }
    } else if (event.key === "Enter" && this.map.lassoMode) {
      this.map.lasso = [...this.map.lasso ?? [], this.map.place(px, py)];
      if (event.shiftKey) this.#finishLasso();
      this.map.draw("marks");
    } else if (event.key === "Enter") {
      if (event.shiftKey) this.events.onPlace(this.map.place(px, py));
      else if (this.map.count) this.#pick(this.map.nearest(px, py, Infinity), [px, py]);
    } else if (event.key === "+" || event.key === "=") this.map.zoom(1.4, px, py);
    else if (event.key === "-") this.map.zoom(1 / 1.4, px, py);
    else if (event.key === "0") this.map.reset();
    else if (event.key === "Escape") { this.map.setLassoMode(false); this.events.onLasso(null); }
    else return;
    event.preventDefault();
  }

  #moveCursor(here) {
    this.map.cursor = here;
    this.map.draw("marks");
    this.events.onHover(this.map.place(...here));
  }

  #click(here, reach) {
    this.#pick(this.map.nearest(...here, reach), here);
  }

  #pick(index, here) {
    if (index >= 0) this.events.onPoint(index);
    else this.events.onPlace(this.map.place(...here));
  }

  #finishLasso() {
    const corners = this.map.lasso, inside = [];
    this.map.lasso = null;
    for (let i = 0; i < this.map.count; i++) {
      if (mivae.isInside(this.map.positions[2 * i], this.map.positions[2 * i + 1], corners)) inside.push(i);
    }
    this.map.draw("marks");
    this.events.onLasso(inside);
  }
};

// Whether a place lies in a polygon (even-odd rule).
mivae.isInside = function (x, y, corners) {
  let inside = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [xi, yi] = corners[i], [xj, yj] = corners[j];
    if (yi > y !== yj > y && x < (xj - xi) * (y - yi) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
};
