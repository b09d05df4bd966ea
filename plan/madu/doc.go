// Package madu is Madu's manager (Luo et al., "The Power of Prediction", SoCC 2022, §4.2 and §4.3): containers for the calls
// that each service is expected to get, before they come.
//
// Each minute, for each service by itself:
//
//  1. the calls of the minutes so far go to a forecaster, which says what the next m minutes bring; a minute's workload is
//     its mean plus its sigma (equation 8);
//  2. a line through what replicas did says how much CPU and memory a replica uses for its share of the calls (equations 9
//     and 10; see profile);
//  3. that gives the fewest containers that keep CPU under 50 % and memory under 60 % of what a replica has (equation 12);
//  4. over the m minutes the numbers are smoothed within those and 1.2 times as many (equations 13 and 14; see smoother).
//
// The number for the minute that begins is asked for at once. That for the minute after is asked for Lead before it begins
// where it is larger, as what starts takes time.
//
// Calls are those of the snapshots. The paper counts them by traces of which a tenth is kept; Needs says so (Traces), and a
// cluster that can choose shows no more than that, scaled up by what each trace stands for. A minute in which a service's
// calls were not observed is a gap, not a zero.
//
// Methods that learn fast are trained on what was seen so far, at once and again as that doubles. The others (networks) are
// trained by Learn, outside of decisions, and until then a fast one stands in, which the plan says.
//
// What the paper leaves open, and what was chosen, is in docs/decisions/madu.md.
package madu
