/** Recordings: sent in parts, cleaned by the platform, fetched by link. */
import { html, useEffect, useState } from "../lib/html.js";
import { ACCEPTED, FORMATS } from "../lib/formats.js";
import { here, sendFile } from "../lib/rest.js";
import { Chart } from "../ui/chart.js";
import { Alert, bytes, Choice, Empty, Figure, Heading, percent, useAnswer, when } from "../ui/parts.js";

const EVERY_MS = 3000;
const TREATMENTS = [["", "As fits"], ["cancel", "Cancel"], ["predict", "Predict"], ["classify", "Classify"]];

export function Recordings({ rest, socket, one }) {
  const { answer, fault, again } = useAnswer(async () => {
    const jobs = await rest.all("/api/audio/jobs", "jobs");
    return jobs.sort((a, b) => b.created - a.created);
  }, [], EVERY_MS);
  useEffect(() => {
    const told = ({ detail }) => { if (detail.type === "job") again(); };
    socket.addEventListener("frame", told);
    return () => socket.removeEventListener("frame", told);
  }, [socket]);
  const [refused, setRefused] = useState("");
  const remove = ({ job, name }) => {
    if (!confirm(`Remove ${name || "this recording"}, its report and what was cleaned?`)) return;
    setRefused("");
    rest.remove(`/api/audio/jobs/${job}`).then(again, (refusal) => setRefused(refusal.message));
  };
  if (one) return html`<${Recording} rest=${rest} job=${one} />`;
  return html`
    <${Heading} title="Recordings" words="Two channels: the left the reference, the right the ear. One channel: its noise is classified." />
    ${(refused || fault) && html`<${Alert} kind="fault">${refused || fault}<//>`}
    <${Upload} rest=${rest} sent=${again} />
    ${answer?.length === 0 && html`<${Empty} title="Nothing sent yet">${FORMATS}, minutes or hours long.<//>`}
    ${answer?.length > 0 && html`<div class="card table"><table>
      <thead><tr><th>Recording</th><th>State</th><th>Quieter</th><th class="minor">Noise</th><th class="minor">Alarms</th><th class="minor">Sent</th><th><span class="unseen">Remove</span></th></tr></thead>
      <tbody>${answer.map((job) => html`<${Row} key=${job.job} job=${job} remove=${() => remove(job)} />`)}</tbody>
    </table></div>`}`;
}

function Row({ job, remove }) {
  const { attenuation_db: gained, noise, emergencies } = job.summary ?? {};
  return html`<tr>
    <td><a href=${`#/recordings/${encodeURIComponent(job.job)}`}>${job.name || "unnamed"}</a><br /><small>${bytes(job.size)}</small></td>
    <td>${job.state === "running" ? html`<progress value=${job.progress} aria-label="Progress"></progress>`
      : html`<span class=${`tag ${job.state === "done" ? "good" : job.state === "failed" ? "bad" : ""}`}>${job.state}</span>`}</td>
    <td>${gained == null ? "–" : `${gained.toFixed(1)} dB`}</td><td class="minor">${noise ?? "–"}</td><td class="minor">${emergencies ?? "–"}</td>
    <td class="minor">${when(job.created)}</td>
    <td><button class="quiet danger" onClick=${remove} aria-label=${`Remove ${job.name || "unnamed"}`}>Remove</button></td></tr>`;
}

function Upload({ rest, sent }) {
  const [mode, setMode] = useState("");
  const [sending, setSending] = useState(null); // {name, share}
  const [fault, setFault] = useState("");
  const send = async (file) => {
    if (!file) return;
    setFault("");
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
      sent();
    } catch (refusal) {
      setFault(refusal.message);
    }
    setSending(null);
  };
  const drop = (event) => {
    event.preventDefault();
    send(event.dataTransfer.files[0]);
  };
  return html`<section class="card drop" onDragOver=${(event) => event.preventDefault()} onDrop=${drop} aria-label="Send a recording">
    <${Choice} name="What to do" value=${mode} options=${TREATMENTS} onChange=${setMode} disabled=${!!sending} />
    <label class="button">Choose a recording<input class="unseen" type="file" accept=${ACCEPTED} disabled=${!!sending}
      onChange=${(event) => send(event.target.files[0])} /></label>
    <span class="hint">or drop one here</span>
    ${sending && html`<p class="sending" role="status"><progress value=${sending.share} aria-label=${`Sending ${sending.name}`}></progress>${sending.name}: ${percent(sending.share)} sent</p>`}
    ${fault && html`<${Alert} kind="fault">${fault}<//>`}
  </section>`;
}

function Recording({ rest, job: id }) {
  const [settled, setSettled] = useState(false);
  const { answer, fault } = useAnswer(async () => {
    const job = await rest.get(`/api/audio/jobs/${encodeURIComponent(id)}`);
    for (const [name, link] of Object.entries(job.downloads ?? {})) job.downloads[name] = here(link);
    const link = job.downloads?.["report.json"];
    setSettled(job.state === "done" || job.state === "failed");
    return { job, report: link ? await (await fetch(link)).json() : null };
  }, [id, settled], settled ? 0 : EVERY_MS);
  const job = answer?.job;
  const report = answer?.report;
  return html`
    <${Heading} title=${job?.name || "Recording"} words=${job && `${job.state}, ${report ? `${report.seconds.toFixed(0)} s, ` : ""}${bytes(job.size)}, sent ${when(job.created)}`}>
      ${Object.entries(job?.downloads ?? {}).map(([name, link]) => html`<a key=${name} class="button" href=${link} download>${name}</a>`)}
      <a class="button" href="#/recordings">All recordings</a>
    <//>
    ${fault && html`<${Alert} kind="fault">${fault}<//>`}
    ${job?.failure && html`<${Alert} kind="fault">${job.failure}<//>`}
    ${job && !settled && html`<${Alert}>Being treated. <progress value=${job.progress} aria-label="Progress"></progress><//>`}
    ${report && html`<${Report} report=${report} cleaned=${job.downloads["cleaned.wav"]} />`}`;
}

function Report({ report, cleaned }) {
  const { before, after } = report;
  const seconds = before.by_second_dbfs.map((_, s) => s + 0.5);
  const pair = [{ label: "before", colour: "before" }, { label: "after", colour: "after" }];
  const thirds = Object.keys(before.thirds_dbfs).sort((a, b) => a - b);
  const both = (of) => (after ? [of(before), of(after)] : [of(before)]);
  return html`<div class="one">
    <section class="card wide"><dl class="figures">
      <${Figure} kind="large" id="gained" name="Quieter" value=${report.attenuation_db?.toFixed(1)} unit="dB" />
      <${Figure} name="In the second half" value=${report.attenuation_last_half_db?.toFixed(1)} unit="dB" />
      <${Figure} name="A-weighted" value=${report.attenuation_dba?.toFixed(1)} unit="dB(A)" />
      <${Figure} name="Before" value=${before.level_dbfs.toFixed(1)} unit="dBFS" />
      <${Figure} name="After" value=${after?.level_dbfs.toFixed(1)} unit="dBFS" />
      <${Figure} name="Filter" value=${after && report.algorithm.toUpperCase()} unit=${`${report.taps} taps`} />
    </dl>${cleaned && html`<audio controls preload="none" src=${cleaned} aria-label="What is left"></audio>`}</section>
    <section class="card"><${Chart} title="Level, second by second" y="dBFS" data=${[seconds, ...both((levels) => levels.by_second_dbfs)]} lines=${pair.slice(0, after ? 2 : 1)} /></section>
    <section class="card"><${Chart} title="By third of an octave" x="Hz" y="dBFS" logarithmic
      data=${[thirds.map(Number), ...both((levels) => thirds.map((third) => levels.thirds_dbfs[third]))]} lines=${pair.slice(0, after ? 2 : 1)} /></section>
    <section class="card"><h2>Noise</h2><${Spans} spans=${report.noise} words=${(span) => `${span.label}, ${percent(span.confidence)} sure`} none="No noise was named." /></section>
    <section class="card"><h2>Alarms</h2><${Spans} spans=${report.emergencies} words=${(span) => `${span.kind}, ${percent(span.score)} sure`} none="No alarm was heard." /></section>
  </div>`;
}

function Spans({ spans, words, none }) {
  if (!spans?.length) return html`<p class="hint">${none}</p>`;
  return html`<ol class="news">${spans.map((span) => html`<li key=${span.from_s}>
    <time>${span.from_s.toFixed(0)} to ${span.to_s.toFixed(0)} s</time><span>${words(span)}</span></li>`)}</ol>`;
}
