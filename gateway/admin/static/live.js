// Keeps a page as it is on the server: takes its live parts as they change and works them into the document
// node by node, so that focus, selection, scrolling and what is unfolded stay as they are.
"use strict";
(() => {
  const RETRY = [1000, 2000, 5000, 10000];
  const box = document.querySelector(".live");
  const said = box.querySelector(".said");
  const button = box.querySelector("button");
  let paused = false;
  let failures = 0;
  let abort = null;
  let timer = 0;
  let over = false;

  const say = (state, text) => {
    box.dataset.state = state;
    if (said.textContent !== text) said.textContent = text;
  };

  // --- from HTML to the document

  const same = (one, other) =>
    one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id || "") === (other.id || "");

  const attributes = (old, fresh) => {
    for (const { name } of [...old.attributes]) {
      const unfolded = name === "open" && old.nodeName === "DETAILS";
      if (!fresh.hasAttribute(name) && !unfolded) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  };

  const morph = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.hasAttribute("data-keep")) return;
    attributes(old, fresh);
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const known = child.id ? [...old.children].find((one) => one.id === child.id) : null;
      if (known && known !== at) old.insertBefore(known, at);
      const match = known || (at && same(at, child) ? at : null);
      if (match) {
        morph(match, child);
        at = match.nextSibling;
      } else {
        old.insertBefore(document.importNode(child, true), at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      if (!at.contains(document.activeElement)) at.remove();  // what has the focus goes when it has it no longer
      at = next;
    }
  };

  const take = (parts) => {
    for (const html of parts) {
      const fresh = new DOMParser().parseFromString(html, "text/html").body;
      document.dispatchEvent(new CustomEvent("coo:incoming", { detail: fresh }));
      for (const element of [...fresh.children]) {
        const old = element.id && document.getElementById(element.id);
        if (old) morph(old, element);
      }
    }
    if (parts.length) document.dispatchEvent(new CustomEvent("coo:changed"));
  };

  // --- from the server to HTML

  const event = (text) => {
    let name = "";
    let data = "";
    for (const line of text.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (name === "parts") {
      failures = 0;
      say("live", "Live");
      take(JSON.parse(data));
    } else if (name === "trouble") {
      say("trouble", JSON.parse(data));
    }
  };

  const follow = async () => {
    abort = new AbortController();
    over = false;
    const response = await fetch(location.href, {
      headers: { accept: "text/event-stream" }, signal: abort.signal, redirect: "error", cache: "no-store",
    });
    over = response.status === 401;
    if (!response.ok) throw new Error(String(response.status));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      text += piece.value;
      const events = text.split("\n\n");
      text = events.pop();
      events.forEach(event);
    }
  };

  const run = async () => {
    clearTimeout(timer);
    if (abort || paused || document.hidden) return;
    try {
      await follow();
      throw new Error("ended");
    } catch {
      abort = null;
      if (paused || document.hidden) return;
      if (over) {
        say("trouble", "Not live");
        document.dispatchEvent(new CustomEvent("coo:ended"));
        return;
      }
      say("trouble", "Reconnecting …");
      timer = setTimeout(run, RETRY[Math.min(failures, RETRY.length - 1)]);
      failures += 1;
    }
  };

  const stop = () => {
    clearTimeout(timer);
    if (abort) abort.abort();
  };

  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    if (paused) {
      say("paused", "Paused");
      stop();
    } else {
      say("trouble", "Connecting …");
      run();
    }
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : run()));
  document.addEventListener("coo:back", run);
  addEventListener("pagehide", stop);
  box.hidden = false;
  say("trouble", "Connecting …");
  run();
})();
