// The colour and the dashes of every kind of initial state, the same in all charts.

const LOOKS = {
  zero: [7, null], free: [5, "8 3"], "error-noise": [6, "3 2"], "warm-up": [2, "9 3 2 3"], "every-step": [4, "5 3"], context: [1, null],
  gaussian: [3, "10 3"], handoff: [8, null], estimated: [6, null], "context+estimated": [8, "8 4"], persistence: [8, "6 3"], mean: [5, "2 3"],
  seasonal: [3, "9 3"], linear: [6, "8 3 2 3"],
};

export function look(name) {
  const [colour, dash] = LOOKS[name] || [2, "7 4"];
  return { colour, dash };
}
