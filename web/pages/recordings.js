/** Recordings: upload in parts, follow the job, show the report and download the results. */
import { html, useEffect, useState } from "../lib/html.js";
import { ACCEPTED, FORMATS } from "../lib/formats.js";
import { sameOrigin, sendFile } from "../lib/rest.js";
import { Chart } from "../ui/chart.js";
import { Alert, bytes, Choice, Empty, Figure, Heading, percent, useRequest, when } from "../ui/parts.js";

const POLL_MS = 3000;
const MODES = [["", "Automatic"], ["cancel", "Cancel"], ["predict", "Predict"], ["classify", "Classify"]];

export function Recordings({ rest, socket, id }) {
  const { data, error, reload } = useRequest(async () => {
    const jobs = await rest.all("/api/audio/jobs", "jobs");
    return jobs.sort((a, b) => b.created - a.created);
  }, [], POLL_MS);
  useEffect(() => {
    const receive = ({ detail }) => { if (detail.type === "job") reload(); };
    socket.addEventListener("frame", receive);
    return () => socket.removeEventListener("frame", receive);
  }, [socket]);
  const [rejection, setRejection] = useState("");
  const remove = ({ job, name }) => {
    if (!confirm(`Remove ${name || "this recording"}, its report and its results?`)) return;
    setRejection("");
    rest.remove(`/api/audio/jobs/${job}`).then(reload, (failure) => setRejection(failure.message));
  };
  if (id) return html`<${Recording} rest=${rest} id=${id} />`;
  return html`
    <${Heading} title="Recordings" text="Two channels (left: reference, right: ear) are filtered; one channel is classified." />
    ${(rejection || error) && html`<${Alert} kind="error">${rejection || error}<//>`}
    <${Upload} rest=${rest} onSent=${reload} />
    ${data?.length === 0 && html`<${Empty} title="No recordings yet">Formats: ${FORMATS}. Length: minutes to hours.<//>`}
    ${data?.length > 0 && html`<div class="card table"><table>
      <thead><tr><th>Recording</th><th>State</th><th>Attenuation</th><th class="minor">Noise</th><th class="minor">Emergencies</th><th class="minor">Uploaded</th><th><span class="visually-hidden">Remove</span></th></tr></thead>
      <tbody>${data.map((job) => html`<${Row} key=${job.job} job=${job} remove=${() => remove(job)} />`)}</tbody>
    </table></div>`}`;
}

function Row({ job, remove }) {
  const { attenuation_db: attenuation, noise, emergencies } = job.summary ?? {};
  return html`<tr>
    <td><a href=${`#/recordings/${encodeURIComponent(job.job)}`}>${job.name || "unnamed"}</a><br /><small>${bytes(job.size)}</small></td>
    <td>${job.state === "running" ? html`<progress value=${job.progress} aria-label="Progress"></progress>`
      : html`<span class=${`tag ${job.state === "done" ? "good" : job.state === "failed" ? "bad" : ""}`}>${job.state}</span>`}${job.summary?.truncated && html` <span class="tag bad" title=${job.summary.note}>incomplete</span>`}</td>
    <td>${attenuation == null ? "–" : `${attenuation.toFixed(1)} dB`}</td><td class="minor">${noise ?? "–"}</td><td class="minor">${emergencies ?? "–"}</td>
    <td class="minor">${when(job.created)}</td>
    <td><button class="quiet danger" onClick=${remove} aria-label=${`Remove ${job.name || "unnamed"}`}>Remove</button></td></tr>`;
}

function Upload({ rest, onSent }) {
  const [mode, setMode] = useState("");
  const [sending, setSending] = useState(null); // {name, share}
  const [error, setError] = useState("");
  const send = async (file) => {
    if (!file) return;
    setError("");
    setSending({ name: file.name, share: 0 });
    try {
      const upload = await rest.post("/api/audio/uploads", {
        size: file.size, name: file.name.slice(0, 100), options: mode ? { mode } : {},
      });
      for (const [i, link] of upload.links.entries()) {
        const from = i * upload.part_bytes;
        const part = file.slice(from, from + upload.part_bytes);
        await sendFile(link, part, (loaded) => setSending({ name: file.name, share: (from + loaded) / file.size }));
      }
      if (upload.links.length > 1) await rest.post(`/api/audio/uploads/${upload.job}`);
      onSent();
    } catch (failure) {
      setError(failure.message);
    }
    setSending(null);
  };
  const drop = (event) => {
    event.preventDefault();
    send(event.dataTransfer.files[0]);
  };
  return html`<section class="card drop" onDragOver=${(event) => event.preventDefault()} onDrop=${drop} aria-label="Upload a recording">
    <${Choice} name="Processing" value=${mode} options=${MODES} onChange=${setMode} disabled=${!!sending} />
    <label class="button">Choose a recording<input class="visually-hidden" type="file" accept=${ACCEPTED} disabled=${!!sending}
      onChange=${(event) => send(event.target.files[0])} /></label>
    <span class="hint">or drop one here: ${FORMATS}</span>
    ${sending && html`<p class="sending" role="status"><progress value=${sending.share} aria-label=${`Uploading ${sending.name}`}></progress>${sending.name}: ${percent(sending.share)} uploaded</p>`}
    ${error && html`<${Alert} kind="error">${error}<//>`}
  </section>`;
}

function Recording({ rest, id }) {
  const [finished, setFinished] = useState(false);
  const { data, error } = useRequest(async () => {
    const job = await rest.get(`/api/audio/jobs/${encodeURIComponent(id)}`);
    for (const [name, link] of Object.entries(job.downloads ?? {})) job.downloads[name] = sameOrigin(link);
    const link = job.downloads?.["report.json"];
    setFinished(job.state === "done" || job.state === "failed");
    return { job, report: link ? await (await fetch(link)).json() : null };
  }, [id, finished], finished ? 0 : POLL_MS);
  const job = data?.job;
  const report = data?.report;
  return html`
    <${Heading} title=${job?.name || "Recording"} text=${job && `${job.state}, ${report ? `${report.seconds.toFixed(0)} s, ` : ""}${bytes(job.size)}, uploaded ${when(job.created)}`}>
      ${Object.entries(job?.downloads ?? {}).map(([name, link]) => html`<a key=${name} class="button" href=${link} download>${name}</a>`)}
      <a class="button" href="#/recordings">All recordings</a>
    <//>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${job?.failure && html`<${Alert} kind="error">${job.failure}<//>`}
    ${job && !finished && html`<${Alert}>Processing. <progress value=${job.progress} aria-label="Progress"></progress><//>`}
    ${report?.note && html`<${Alert} kind="error">${report.note}<//>`}
    ${report && html`<${Report} report=${report} filtered=${job.downloads["cleaned.wav"]} />`}`;
}

function Report({ report, filtered }) {
  const { before, after } = report;
  const seconds = before.by_second_dbfs.map((_, s) => s + 0.5);
  const pair = [{ label: "before", colour: "before" }, { label: "after", colour: "after" }];
  const thirds = Object.keys(before.thirds_dbfs).sort((a, b) => a - b);
  const both = (of) => (after ? [of(before), of(after)] : [of(before)]);
  return html`<div class="columns">
    <section class="card wide"><dl class="figures">
      <${Figure} kind="large" id="attenuation" name="Attenuation" value=${report.attenuation_db?.toFixed(1)} unit="dB" />
      <${Figure} name="Second half" value=${report.attenuation_last_half_db?.toFixed(1)} unit="dB" />
      <${Figure} name="A-weighted" value=${report.attenuation_dba?.toFixed(1)} unit="dB(A)" />
      <${Figure} name="Before" value=${before.level_dbfs.toFixed(1)} unit="dBFS" />
      <${Figure} name="After" value=${after?.level_dbfs.toFixed(1)} unit="dBFS" />
      <${Figure} name="Filter" value=${after && report.algorithm.toUpperCase()} unit=${`${report.taps} taps`} />
    </dl>${filtered && html`<audio controls preload="none" src=${filtered} aria-label="Filtered recording"></audio>`}</section>
    <section class="card"><${Chart} title="Level per second" y="dBFS" data=${[seconds, ...both((levels) => levels.by_second_dbfs)]} lines=${pair.slice(0, after ? 2 : 1)} /></section>
    <section class="card"><${Chart} title="Level per third-octave band" x="Hz" y="dBFS" logarithmic
      data=${[thirds.map(Number), ...both((levels) => thirds.map((third) => levels.thirds_dbfs[third]))]} lines=${pair.slice(0, after ? 2 : 1)} /></section>
    <section class="card"><h2>Noise</h2><${Spans} spans=${report.noise} text=${(span) => `${span.label}, confidence ${percent(span.confidence)}`} none="Noise: not classified." /></section>
    <section class="card"><h2>Emergencies</h2><${Spans} spans=${report.emergencies} text=${(span) => `${span.kind}, confidence ${percent(span.score)}`} none="No emergency was detected." /></section>
  </div>`;
}

function Spans({ spans, text, none }) {
  if (!spans?.length) return html`<p class="hint">${none}</p>`;
  return html`<ol class="log">${spans.map((span) => html`<li key=${span.from_s}>
    <time>${span.from_s.toFixed(0)} to ${span.to_s.toFixed(0)} s</time><span>${text(span)}</span></li>`)}</ol>`;
}
