/** A line chart by uPlot, in the theme's colours and as wide as its place. */
import { html, useEffect, useRef } from "../lib/html.js";

const DECADES = [10, 100, 1000, 10000];

/**
 * @param {object} props
 * @param {number[][]} props.data  the horizontal axis first
 * @param {{label: string, colour: string, fill?: boolean}[]} props.lines  colour names a custom property
 * @param {string} props.title  what a person who cannot see it is told
 * @param {string} [props.x] @param {string} [props.y]  units of the axes
 * @param {[number, number]} [props.range]  of the vertical axis, which grows if it is passed
 * @param {number} [props.seconds]  the least that the horizontal axis shows; below zero it counts back from now
 * @param {boolean} [props.logarithmic]  horizontally
 */
export function Chart({ data, lines, title, x = "s", y = "dB", range, seconds, height = 180, logarithmic = false }) {
  const place = useRef();
  const plot = useRef();
  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      const options = settings({ place: place.current, lines, x, y, range, seconds, height, logarithmic });
      plot.current = new globalThis.uPlot(options, place.current.data, place.current);
    };
    place.current.data = data;
    make();
    const resized = new ResizeObserver(() => plot.current.setSize({ width: place.current.clientWidth, height }));
    resized.observe(place.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    addEventListener("themechange", make);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", make);
      removeEventListener("themechange", make);
      plot.current.destroy();
    };
  }, []);
  useEffect(() => {
    place.current.data = data;
    plot.current.setData(data);
  });
  return html`<figure class="chart"><figcaption>${title}<span class="legend">
      ${lines.length > 1 && lines.map(({ label, colour }) => html`<b key=${label} class=${`key ${colour}`}>${label}</b>`)}
    </span></figcaption><div ref=${place} role="img" aria-label=${title}></div></figure>`;
}

function settings({ place, lines, x, y, range, seconds, height, logarithmic }) {
  const ink = colour(place, "--soft");
  const rule = colour(place, "--line");
  const axis = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  return {
    width: place.clientWidth, height, legend: { show: false }, padding: [8, 22, 0, 0],
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: false, distr: logarithmic ? 3 : 1, range: (_, from, to) => across(from ?? 0, to ?? 0, seconds) }, y: range ? { range: (_, least, most) => [Math.min(range[0], least ?? 0), Math.max(range[1], most ?? 0)] } : {} },
    axes: [
      { ...axis, size: 30, ...(logarithmic && { splits: octaves }),
        values: (_, splits) => splits.map((v) => (v == null || (logarithmic && !DECADES.includes(v)) ? "" : withUnit(v, x))) },
      { ...axis, size: 68, values: (_, splits) => splits.map((v) => (v == null ? "" : withUnit(v, y))) },
    ],
    series: [{}, ...lines.map((line) => ({
      label: line.label, stroke: colour(place, `--${line.colour}`), width: 2, points: { show: (plot) => plot.data[0].length < 3 },
      fill: line.fill ? colour(place, `--${line.colour}-wash`) : undefined,
    }))],
  };
}

/** Where a logarithmic axis has its lines. */
function octaves(_, __, from, to) {
  return DECADES.flatMap((decade) => [1, 2, 5].map((k) => k * decade)).filter((v) => v >= from && v <= to);
}

function across(from, to, seconds) {
  if (!seconds) return [from, to];
  return seconds < 0 ? [Math.min(from, seconds), 0] : [from, Math.max(to, from + seconds)];
}

function withUnit(value, unit) {
  const thousands = Math.abs(value) >= 1000;
  return `${thousands ? value / 1000 : Number(value.toPrecision(4))} ${thousands ? "k" : ""}${unit}`;
}

/** A custom property as the theme in force resolves it. */
function colour(place, name) {
  place.style.color = `var(${name})`;
  const resolved = getComputedStyle(place).color;
  place.style.color = "";
  return resolved;
}
