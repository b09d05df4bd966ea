package web

import (
	"net/http"
	"time"
)

// Insights is what is known so far of what invites violations.
type Insights struct {
	State  string    `json:"state"`            // ready, working (ask again), needs (something that is not there) or failed
	Text   string    `json:"text,omitempty"`   // of needs and failed, and how far it is: one sentence
	At     time.Time `json:"at,omitzero"`      // when Result was found
	Result any       `json:"result,omitempty"` // of ready: foresail.dev/insights/v1 (docs/formats/insights.md)
}

// needsHistory is told where Config.Insights is nil.
const needsHistory = "Insights are found in what was observed over hours and days, and this run keeps nothing: name a folder with `history: {dir: history}` in foresail.yaml, and one with `traces: {dir: traces}` for example requests."

func (s *Server) getInsights(w http.ResponseWriter, r *http.Request) {
	since := time.Duration(0)
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.ParseDuration(text); err != nil || since <= 0 {
			fail(w, http.StatusBadRequest, "since: give how long before the newest snapshot, like 48h, or leave it out")
			return
		}
	}
	if s.cfg.Insights == nil {
		reply(w, http.StatusOK, Insights{State: "needs", Text: needsHistory})
		return
	}
	reply(w, http.StatusOK, s.cfg.Insights(since))
}
