"use strict";
// Colours of the points, for both themes.

// Stops of the sequential ramp, from low to high: light paper needs a dark start of medium lightness,
// dark paper a light one. Categories: eight hues that stay apart for colour-blind readers.
mivae.RAMPS = {
  light: ["#9ecae1", "#5aa5cf", "#2f7ab9", "#5b4ea3", "#7a1f7e", "#4b0a45"],
  dark: ["#31577d", "#3f8bb5", "#58bcb0", "#9bdc8c", "#e6ee74", "#fffad2"],
};
mivae.CATEGORIES = {
  light: ["#0072b2", "#c65102", "#00805e", "#a3478a", "#7a6a00", "#3a3a9c", "#b3262e", "#4f7f1f"],
  dark: ["#56b4e9", "#f5a15b", "#2ecc9b", "#e79ac9", "#e8dc5a", "#a3a5ff", "#ff8080", "#a6d96a"],
};

mivae.theme = () => document.documentElement.dataset.theme === "dark" ? "dark" : "light";

// A colour as the little-endian pixel 0xAABBGGRR.
mivae.pixel = function (hex) {
  const n = parseInt(hex.slice(1), 16);
  return (0xff000000 | (n & 0xff) << 16 | (n & 0xff00) | n >> 16) >>> 0;
};

mivae.rampPixels = function () {
  const stops = mivae.RAMPS[mivae.theme()].map((hex) => parseInt(hex.slice(1), 16));
  const mix = (a, b, t, shift) => Math.round((a >> shift & 255) * (1 - t) + (b >> shift & 255) * t);
  return Uint32Array.from({length: 256}, (_, i) => {
    const at = i / 255 * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
    const [r, g, b] = [16, 8, 0].map((shift) => mix(stops[k], stops[k + 1], at - k, shift));
    return (0xff000000 | b << 16 | g << 8 | r) >>> 0;
  });
};
