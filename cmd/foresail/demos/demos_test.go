package demos

import (
	"strings"
	"testing"

	"foresail.dev/appfile"
	"foresail.dev/apps/models"
	"foresail.dev/plan/managers"
)

// Every demo's load is one of its application; its day, its steady rate and its ramp lie in one range.
func TestDemos(t *testing.T) {
	for _, d := range all {
		b, err := appfile.ReadApp(d.Application)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := appfile.ParseLoad(d.Application, []byte(d.Day), b.App, nil); err != nil {
			t.Error(err)
		}
		if !(d.low < d.steady && d.steady < d.high) || d.Title == "" {
			t.Errorf("%+v", d)
		}
	}
}

// Without --app the demo shows what the manager can manage: its own first application, or one that there is a model of.
func TestChoose(t *testing.T) {
	for _, name := range managers.Names() {
		d, err := Choose("", name)
		if err != nil {
			t.Fatal(err)
		}
		if managers.UsesModel(name) && len(models.Applications()) > 0 {
			if models.For(d.Application) == nil {
				t.Errorf("%s: %s, which there is no model of", name, d.Application)
			}
		} else if d.Application != "social-network" {
			t.Errorf("%s: %s", name, d.Application)
		}
	}
	if d, err := Choose("hotel-reservation-17", "hpa"); err != nil || d.Application != "hotel-reservation-17" {
		t.Error(d, err)
	}
	if _, err := Choose("media", "hpa"); err == nil || !strings.Contains(err.Error(), "use social-network, social-network-28, hotel-reservation-17") {
		t.Error(err)
	}
}
