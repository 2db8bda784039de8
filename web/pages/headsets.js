/** The fleet. */
import { html, useState } from "../lib/html.js";
import { Alert, Empty, Heading, useAnswer } from "../ui/parts.js";

const EVERY_MS = 4000;

export function Headsets({ rest, me }) {
  const [owner, setOwner] = useState("");
  const ask = async () => {
    const devices = await rest.all(`/api/devices${owner ? `?owner=${encodeURIComponent(owner)}` : ""}`, "devices");
    return Promise.all(devices.map(async (device) => {
      const path = `/api/devices/${encodeURIComponent(device.thing)}`;
      const [now, shadow] = await Promise.all([rest.get(path), rest.get(`${path}/shadow`)]);
      return { ...now, ...shadow.state };
    }));
  };
  const { answer, fault } = useAnswer(ask, [owner], EVERY_MS);
  const choose = (event) => {
    event.preventDefault();
    setOwner(new FormData(event.target).get("owner").trim());
  };
  return html`
    <${Heading} title="Headsets" words="Each cancels by itself, with a filter that the platform works out for the noise it is in.">
      ${me && me.role !== "listener" && html`<form class="row" onSubmit=${choose} role="search">
        <label>Whose<input name="owner" placeholder=${me.user} autocapitalize="none" /></label><button>Show</button></form>`}
    <//>
    ${fault && html`<${Alert} kind="fault">${fault}<//>`}
    ${answer?.length === 0 && html`<${Empty} title="No headsets here yet">
      <code>anc headset</code> puts a simulated one into a noise; a real one is registered as the quick start shows.<//>`}
    <div class="fleet">${answer?.map((device) => html`<${Card} key=${device.thing} device=${device} />`)}</div>`;
}

function Card({ device }) {
  const { desired = {}, reported = {} } = device;
  const mode = reported.mode ?? desired.mode;
  const gained = mode === "cancel" ? reported.attenuation_db : null;
  return html`<a class="card headset" href=${`#/headsets/${encodeURIComponent(device.thing)}`}>
    <span class="top"><strong>${device.thing}</strong><${Online} online=${device.online} /></span>
    <span class="gain"><b>${gained?.toFixed(1) ?? "–"}</b> ${gained != null ? "dB quieter" : mode && mode !== "cancel" ? "not cancelling" : "not measured yet"}</span>
    <span class="rest">${desired.noise ? `in ${desired.noise.label.replaceAll("_", " ")} noise` : "no noise heard yet"}</span>
    <span class="rest">${mode ?? "no mode yet"}${reported.filter ? ` with filter ${reported.filter.slice(0, 8)}` : ""}</span>
    ${mode === "transparency" && html`<span class="tag bad">open to the world</span>`}
  </a>`;
}

export function Online({ online }) {
  return html`<span class=${`tag ${online ? "good" : ""}`}>${online ? "online" : online === false ? "offline" : "never seen"}</span>`;
}
