package promfile

import (
	"testing"
	"time"

	"foresail.dev"
)

// Minutes that shorter snapshots make up follow them; minutes stay as they are.
func TestWithMinutes(t *testing.T) {
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	list := []*foresail.Snapshot{{Start: at, End: at.Add(time.Minute)}}
	for i := range 7 {
		start := at.Add(time.Minute + time.Duration(i)*20*time.Second)
		list = append(list, &foresail.Snapshot{Start: start, End: start.Add(20 * time.Second)})
	}
	h := foresail.NewHistory(&foresail.App{}, foresail.Needs{Seconds: 100, Minutes: 100})
	for _, s := range withMinutes(list) {
		h.Recall(s)
	}
	if m := h.Minutes(10); len(m) != 3 || !m[2].End.Equal(at.Add(3*time.Minute)) || len(h.Seconds(100)) != 7 {
		t.Errorf("%d minutes, %d seconds", len(m), len(h.Seconds(100)))
	}
}
