// Times in the browser's own zone, with UTC on hover. Without it they are in UTC.
"use strict";
(() => {
  const format = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  const localise = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      time.textContent = format.format(new Date(time.dateTime));
    }
  };
  localise(document);
  document.addEventListener("coo:incoming", (event) => localise(event.detail));
})();
