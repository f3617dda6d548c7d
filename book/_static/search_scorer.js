/* How results of the search are ordered. Sphinx puts this file before its own script, and calls `score` for each result. */
"use strict";

// Who searches for one of these asks how the paper's claims came out: the table of all claims comes first.
const OF_VERDICTS = ["claim", "claims", "patience", "provisional", "relu", "reproduced", "verdict", "verdicts"];

// What was asked, as Sphinx reads it from the address.
const asked = () => (new URLSearchParams(window.location.search).get("q") ?? "").toLowerCase().match(/[a-z]+/g) ?? [];

var Scorer = {
  // A result is [page, title, anchor, description, score, file]. A term of the glossary has 100.
  score: ([page, , , , score]) => {
    if (page === "pages/ledger" && asked().some((word) => OF_VERDICTS.includes(word))) return score + 1000;
    if (page.startsWith("api/") || page === "changelog") return score - 200;
    return score;
  },

  // Sphinx's own numbers.
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
