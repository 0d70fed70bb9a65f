// Keeps what was filled in when the session ends: no form is sent to a session that is over, and no page that holds
// something is left. After a login in another tab its forms go on with the new session's token.
"use strict";
(() => {
  const TWICE = 1000;
  const notice = document.getElementById("ended");
  let allowed = null;
  let asking = false;

  // Whether somebody is logged in; if so, all forms get the token of that session.
  const renew = async () => {
    const response = await fetch("/ui/session", { redirect: "manual", cache: "no-store" });
    const inside = response.type !== "opaqueredirect";
    if (response.ok) {
      const { csrf_token: token } = await response.json();
      for (const field of document.querySelectorAll('input[name="csrf"]')) field.value = token;
    }
    if (inside && !notice.hidden) document.dispatchEvent(new CustomEvent("coo:back"));
    notice.hidden = inside;
    return inside;
  };

  const differs = (field) => {
    if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected));
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    return "defaultValue" in field && field.value !== field.defaultValue;
  };

  const holdsSomething = () =>
    "unsaved" in notice.dataset || document.querySelector(".flash .code") !== null ||
    [...document.forms].some((form) => [...form.elements].some(differs));

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
    if (allowed === form) {
      allowed = null;
      return;
    }
    event.preventDefault();
    if (asking) return;
    asking = true;
    const inside = await renew().catch(() => true);  // where nobody answers, the browser says so
    if (inside) {
      allowed = form;
      form.requestSubmit(event.submitter);
    }
    setTimeout(() => (asking = false), inside ? TWICE : 0);  // a double click is one
  });

  document.addEventListener("coo:ended", () => {
    if (holdsSomething()) notice.hidden = false;
    else location.reload();
  });
  addEventListener("focus", () => notice.hidden || renew().catch(() => {}));
})();
