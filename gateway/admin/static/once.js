// A key that is shown once is gone from the page when it is left, also from the one that "back" brings again.
"use strict";
addEventListener("pagehide", () => {
  for (const code of document.querySelectorAll(".flash .code")) code.remove();
});
