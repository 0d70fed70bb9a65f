// Shows what the text would change, or what is wrong with it, as it is typed. Without it a button does that.
"use strict";
(() => {
  const PAUSE = 400;
  const form = document.getElementById("editor");
  const text = form.elements.patch;
  let timer = 0;
  let asked = 0;

  const look = async () => {
    const mine = (asked += 1);
    const response = await fetch(form.action, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { "x-part": "review" }, redirect: "manual",
    });
    if (response.type === "opaqueredirect") {
      document.dispatchEvent(new CustomEvent("coo:ended"));
      return;
    }
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("review");
    if (mine === asked && fresh) document.getElementById("review").replaceWith(document.importNode(fresh, true));
  };

  const fail = () => {
    const said = document.createElement("p");
    said.className = "error";
    said.textContent = "The text could not be checked. Try again with the button below it.";
    document.getElementById("review").replaceChildren(said);
  };

  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => look().catch(fail), PAUSE);
  };

  text.addEventListener("input", () => {
    // What is shown is of an older text: it must not be applied any more.
    for (const button of document.querySelectorAll("#review button")) button.disabled = true;
    soon();
  });
  document.addEventListener("coo:back", () => text.value.trim() && soon());
  if (text.value.trim() && !document.querySelector("#review table, #review .faults")) soon();
})();
