package web

import (
	"net/http"
	"time"
)

// CallGraphs is what is known of the call graphs that requests take.
type CallGraphs struct {
	State  string    `json:"state"`            // ready, or needs (something that is not there)
	Text   string    `json:"text,omitempty"`   // of needs: one sentence
	At     time.Time `json:"at,omitzero"`      // the end of what Result is of
	Result any       `json:"result,omitempty"` // of ready: as docs/formats/callgraph.md says
}

// noCallGraphs is told where Config.CallGraphs is nil.
const noCallGraphs = "This run gathers no call graphs."

func (s *Server) getCallGraphs(w http.ResponseWriter, _ *http.Request) {
	if s.cfg.CallGraphs == nil {
		reply(w, http.StatusOK, CallGraphs{State: "needs", Text: noCallGraphs})
		return
	}
	reply(w, http.StatusOK, s.cfg.CallGraphs())
}
