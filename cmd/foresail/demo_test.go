package main

import (
	"strings"
	"testing"

	"foresail.dev/appfile"
	"foresail.dev/apps/models"
	"foresail.dev/plan/managers"
)

// Every demo's load is one of its application; its day, its steady rate and its ramp lie in one range.
func TestDemos(t *testing.T) {
	for _, d := range demos {
		b, err := appfile.ReadApp(d.application)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := appfile.ParseLoad(d.application, []byte(d.day), b.App, nil); err != nil {
			t.Error(err)
		}
		if !(d.low < d.steady && d.steady < d.high) || d.title == "" {
			t.Errorf("%+v", d)
		}
	}
}

// Without --app the demo shows what the manager can manage: its own first application, or one that there is a model of.
func TestChooseDemo(t *testing.T) {
	for _, name := range managers.Names() {
		d, err := chooseDemo("", name)
		if err != nil {
			t.Fatal(err)
		}
		if managers.UsesModel(name) && len(models.Applications()) > 0 {
			if models.For(d.application) == nil {
				t.Errorf("%s: %s, which there is no model of", name, d.application)
			}
		} else if d.application != "social-network" {
			t.Errorf("%s: %s", name, d.application)
		}
	}
	if d, err := chooseDemo("hotel-reservation-17", "hpa"); err != nil || d.application != "hotel-reservation-17" {
		t.Error(d, err)
	}
	if _, err := chooseDemo("media", "hpa"); err == nil || !strings.Contains(err.Error(), "use social-network, social-network-28, hotel-reservation-17") {
		t.Error(err)
	}
}
