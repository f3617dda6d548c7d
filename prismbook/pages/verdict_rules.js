// The rules of prismbook.tables.rules and prismbook.claims.statements, on the numbers of statements. A test holds that
// both give the same marks.
function prismVerdicts(data) {
  const settings = (margin, oneSeed, only) => ({scale: margin / data.margin, oneSeed, only});
  const reach = (d, width) => [d.centre - width * (d.error ?? Infinity), d.centre + width * (d.error ?? Infinity)];
  const direction = (d, margin, width) => {
    const [low, high] = reach(d, width);
    return !(low <= 0 && 0 <= high) && Math.abs(d.centre) > margin;
  };
  const equivalent = (d, margin, width) => {
    const [low, high] = reach(d, width);
    return -margin <= low && high <= margin;
  };
  const leavesOut = (d, word, margin, width) => {
    const [low, high] = reach(d, width);
    return word === 'not better' ? high < margin : low > -margin;
  };
  const ofValue = (value, margin) => (Math.abs(value) <= margin ? 'equivalent' : value > 0 ? 'better' : 'worse');
  // A word, and the one that is firm. Where seeds were left out, the first stands only if it may be theirs.
  function judge(d, {scale, oneSeed}) {
    if (d.seeds === 1 && !oneSeed) return ['undecided', 'undecided'];
    const margin = data.margins[d.measure] * scale, word = wordAt(d, margin, data.width);
    if (!d.leftOut.length) return [word, d.inDip ? 'undecided' : wordAt(d, margin, data.firm)];
    const stands = d.leftOut.every(value => data.mayBe[word].includes(ofValue(value, margin)));
    return [stands ? word : 'undecided', 'undecided'];
  }
  function wordAt(d, margin, width) {
    if (direction(d, margin, width)) return d.centre > 0 ? 'better' : 'worse';
    if (equivalent(d, margin, width)) return 'equivalent';
    return ['not better', 'not worse'].find(word => leavesOut(d, word, margin, width)) || 'undecided';
  }
  function holdsWith(word, accepts) {
    const may = data.mayBe[word];
    if (may.every(each => accepts.includes(each))) return true;
    return may.some(each => accepts.includes(each)) ? null : false;
  }
  const leftOpen = statement => ({...statement, holds: null, undecided: true, provisional: false});
  function most(decisions) {
    const held = decisions.filter(each => each === true).length, open = decisions.filter(each => each === null).length;
    if (2 * held > decisions.length) return true;
    return 2 * (held + open) > decisions.length ? null : false;
  }
  const strength = s => 2 * (s.holds === false ? 0 : s.holds === null ? 1 : 2) + (s.holds && !s.provisional ? 1 : 0);
  const weakest = statements =>
    statements.reduce((first, each) => (strength(each) < strength(first) ? each : first));
  const strongest = statements =>
    statements.reduce((first, each) => (strength(each) > strength(first) ? each : first));
  function again(statement, rules) {
    const basis = statement.basis;
    let decided = statement;
    if (basis?.difference) {
      const decision = word => (basis.leftOpen.includes(word) ? null : holdsWith(word, basis.accepts));
      const [holds, firm] = judge(basis.difference, rules).map(decision);
      decided = {...statement, holds, undecided: holds === null, provisional: holds !== null && firm !== holds};
    } else if (basis) {
      const among = basis.among.map(each => again(each, rules));
      if (basis.kind === 'most') {
        const holds = most(among.map(each => each.holds));
        const firm = most(among.map(each => (each.provisional ? null : each.holds)));
        decided = {...statement, holds, undecided: holds === null, provisional: holds !== null && firm === null};
      } else {
        const {holds, undecided, provisional, seeds} = basis.kind === 'weakest' ? weakest(among) : strongest(among);
        decided = {...statement, holds, undecided, provisional, seeds};
      }
    }
    return !rules.oneSeed && decided.seeds === 1 && decided.holds !== null ? leftOpen(decided) : decided;
  }
  // The outcome of a claim, by its core.
  function outcome(statements) {
    const core = statements.filter(each => each.role === 'core'), decisions = core.map(each => each.holds);
    const decided = decisions.filter(each => each !== null);
    if (!decided.length && !core.some(each => each.undecided)) return 'not measured';
    if (2 * decided.length < decisions.length) return 'open';
    if (!decided.every(Boolean)) return decided.some(Boolean) ? 'for some, not for others' : 'not reproduced';
    if (decided.length < decisions.length) return 'open';
    const differs = statements.some(each => each.role === 'size' && each.holds === false);
    return differs ? 'reproduced, size differs' : 'reproduced';
  }
  // The mark of a claim on a dataset, with a ring where it is provisional; empty where it has no such protocol.
  function verdict(statements, rules) {
    let judged = statements.map(each => again(each, rules));
    if (rules.only) {
      judged = judged.filter(each => each.case === rules.only);
      judged = judged.map(each => (each.role === 'note' ? {...each, role: 'core'} : each));
    }
    if (!judged.length) return '';
    const word = outcome(judged);
    const firm = outcome(judged.map(each => (each.provisional ? leftOpen(each) : each)));
    return (word === firm ? '' : data.ring) + data.marks[word];
  }
  return {settings, verdict};
}
