/** Line icons on a 24 by 24 grid. */
import { html } from "../lib/html.js";

const PATHS = {
  live: "M3 12h2l2-6 3 13 3-16 3 13 2-4h3",
  headsets: "M4 15v-3a8 8 0 0 1 16 0v3M4 14h3v6H5a1 1 0 0 1-1-1zM20 14h-3v6h2a1 1 0 0 0 1-1z",
  fleet: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  rollouts: "M12 20V9M7 14l5-5 5 5M4 4h16",
  recordings: "M6 3h8l4 4v14H6zM14 3v4h4M9 15v-2M12 17v-6M15 15v-2",
  emergencies: "M6 18v-5a6 6 0 0 1 12 0v5M4 21h16v-3H4zM12 3v1M4 6l1 1M20 6l-1 1",
  users: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20a6 6 0 0 1 12 0M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5a6 6 0 0 1 3 5.500",
  system: "M4 19V9M10 19V5M16 19v-7M21 19H3",
  theme: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  out: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  play: "M7 4l13 8-13 8z",
  stop: "M6 6h12v12H6z",
  microphone: "M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3zM6 11.500a6 6 0 0 0 12 0M12 18v3",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  sound: "M4 9h4l5-4v14l-5-4H4zM16.500 8.500a5 5 0 0 1 0 7",
  mute: "M4 9h4l5-4v14l-5-4H4zM16 10l5 5M21 10l-5 5",
};

/** @param {{name: keyof typeof PATHS}} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" fill="none"
    stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"><path d=${PATHS[name]} /></svg>`;
}
