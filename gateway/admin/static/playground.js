// Streams the answers, and keeps the conversation for as long as the page is open, in the page alone.
"use strict";
(() => {
  const form = document.getElementById("ask");
  if (!form) return;
  const { client, model, system, message, temperature, max_tokens: most, csrf } = form.elements;
  const [stop, anew, turns, progress, empty] = ["stop", "anew", "turns", "progress", "nothing-yet"].map((id) =>
    document.getElementById(id));
  const SHOWN = /^(x-|retry-)/;
  let said = [];
  let abort = null;

  // --- what is asked

  const number = (field) => (field.value.trim() === "" ? undefined : Number.isNaN(+field.value) ? field.value : +field.value);

  const body = (...more) => ({
    model: model.value,
    messages: [...(system.value ? [{ role: "system", content: system.value }] : []), ...said, ...more],
    temperature: number(temperature),
    max_tokens: number(most),
  });

  const asPrograms = () => {
    const asked = body(...(message.value ? [{ role: "user", content: message.value }] : []));
    for (const place of document.querySelectorAll("[data-body]")) {
      const shell = place.dataset.body === "curl";
      const text = JSON.stringify(shell ? { ...asked, stream: true } : asked, null, 2);
      place.textContent = shell ? text.replaceAll("'", "'\\''") : text;
    }
  };

  // --- what is shown

  const element = (name, text = "", classes = "") => {
    const made = document.createElement(name);
    made.textContent = text;
    if (classes) made.className = classes;
    return made;
  };

  const facts = (pairs) => {
    const list = element("dl", "", "facts");
    for (const [term, value] of pairs) {
      const pair = element("div");
      pair.append(element("dt", term), element("dd", value));
      list.append(pair);
    }
    return list;
  };

  const turn = (who, classes) => {
    const made = element("li", "", classes);
    const name = element("strong");
    name.append(...who);
    const text = element("p", "", "said");
    made.append(name, text);
    turns.append(made);
    turns.scrollTop = turns.scrollHeight;
    empty.hidden = true;
    return { made, text };
  };

  const seconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);
  const count = (tokens) => (tokens === undefined ? "–" : tokens.toLocaleString("en"));

  const sum = (made, answer) => {
    const cost = answer.usage.cost;
    const figures = [
      ["Tokens in", count(answer.usage.prompt_tokens)],
      ["Tokens out", count(answer.usage.completion_tokens)],
      ["Cost", cost === undefined || cost === null ? "unknown" : `$${cost}`],
      ["First token", answer.first ? seconds(answer.first) : "–"],
    ];
    made.append(facts([...(answer.text ? figures : []), ["Total", seconds(answer.total)]]));
    const headers = new Map(answer.headers);
    if (!headers.has("x-coo-attempts")) return; // it never was a request of the client's
    const record = element("a", "Its record");
    record.href = `${turns.dataset.requests}/${encodeURIComponent(headers.get("x-request-id"))}`;
    const details = element("details");
    details.append(element("summary", "Response headers"), facts(answer.headers));
    made.append(details, record);
  };

  const problem = (made, text) => {
    const shown = element("p", text, "error");
    shown.setAttribute("role", "alert");
    made.append(shown);
  };

  // --- the answer

  const failure = async (response) => {
    if (response.type === "opaqueredirect") {
      document.dispatchEvent(new CustomEvent("coo:ended"));
      return "The session has ended: nothing was asked.";
    }
    const text = await response.text();
    try {
      const { error } = JSON.parse(text);
      return error.message ? `${response.status} ${error.code}: ${error.message}` : `${response.status}: ${error}`;
    } catch {
      return `${response.status}: the gateway gave no answer that can be shown.`;
    }
  };

  const take = (event, answer, text) => {
    const data = event.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
    if (!data || data === "[DONE]") {
      answer.done = answer.done || data === "[DONE]";
      return;
    }
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(`${chunk.error.code}: ${chunk.error.message}`);
    answer.usage = chunk.usage || answer.usage;
    const piece = chunk.choices?.[0]?.delta?.content || "";
    if (!piece) return;
    answer.first = answer.first || performance.now() - answer.began;
    answer.text += piece;
    const atEnd = turns.scrollHeight - turns.scrollTop - turns.clientHeight < 40;
    text.append(piece);
    if (atEnd) turns.scrollTop = turns.scrollHeight;
  };

  const read = async (response, answer, text) => {
    answer.headers = [...response.headers].filter(([name]) => SHOWN.test(name));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      rest += piece.value;
      const events = rest.split("\n\n");
      rest = events.pop();
      for (const event of events) take(event, answer, text);
    }
    if (!answer.done) throw new Error("The answer broke off.");
  };

  const busy = (is) => {
    stop.hidden = !is;
    turns.setAttribute("aria-busy", String(is));
    form.querySelector(".primary").disabled = is;
    anew.hidden = is || !turns.children.length;
  };

  const ask = async () => {
    const question = { role: "user", content: message.value };
    const asked = { ...body(question), stream: true, stream_options: { include_usage: true } };
    const name = element("bdi", client.value);
    turn(["You, as ", name], "turn user").text.textContent = question.content;
    const { made, text } = turn([element("bdi", model.value)], "turn");
    const answer = { began: performance.now(), first: 0, text: "", usage: {}, headers: [], done: false };
    abort = new AbortController();
    busy(true);
    progress.textContent = "Waiting for the answer …";
    try {
      const response = await fetch(`/ui/playground/chat?client=${encodeURIComponent(client.value)}`, {
        method: "POST", body: JSON.stringify(asked), signal: abort.signal, redirect: "manual", cache: "no-store",
        headers: { "content-type": "application/json", "x-csrf-token": csrf.value },
      });
      if (!response.ok) {
        answer.headers = [...response.headers].filter(([header]) => SHOWN.test(header));
        throw new Error(await failure(response));
      }
      await read(response, answer, text);
      progress.textContent = "The answer is complete.";
    } catch (error) {
      const stopped = abort.signal.aborted;
      progress.textContent = stopped ? "Stopped." : "";
      if (stopped) made.append(element("p", "Stopped.", "muted"));
      else problem(made, error.message);
    }
    answer.total = performance.now() - answer.began;
    sum(made, answer);
    if (answer.text) {
      said.push(question, { role: "assistant", content: answer.text });
      message.value = "";
    }
    turns.scrollTop = turns.scrollHeight;
    busy(false);
    asPrograms();
    message.focus();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (abort && !stop.hidden) return;
    if (message.value.trim()) ask();
    else message.focus();
  });
  form.addEventListener("input", asPrograms);
  message.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  stop.addEventListener("click", () => abort.abort());
  anew.addEventListener("click", () => {
    said = [];
    turns.replaceChildren();
    empty.hidden = false;
    anew.hidden = true;
    asPrograms();
    message.focus();
  });
  addEventListener("pagehide", () => abort && abort.abort());
})();
