package outlet

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev/access"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 500e6, time.UTC)

func message() *Message {
	return &Message{Schema: Schema, ID: "shop/db/x", Status: Danger, Application: "shop", Service: "db", Manager: "seer(hpa)", At: at, Probability: 0.83, Share: 0.7,
		Within: 0.5, Resource: "disk", Evidence: "it waits for the disk half of the time", Action: "move what writes to its disk", Text: "a violation is expected"}
}

// server answers with a status each, the last one ever after, and keeps what came.
func server(t *testing.T, statuses ...int) (url string, requests *[]*http.Request, bodies *[][]byte) {
	requests, bodies = &[]*http.Request{}, &[][]byte{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*requests, *bodies = append(*requests, r), append(*bodies, b)
		w.WriteHeader(statuses[min(len(*requests), len(statuses))-1])
		io.WriteString(w, "so it is")
	}))
	t.Cleanup(s.Close)
	return s.URL, requests, bodies
}

// A webhook gets the message as it is documented, signed so that it can tell who sent it, what and when.
func TestWebhook(t *testing.T) {
	url, requests, bodies := server(t, http.StatusNoContent)
	secret := access.NewSecret("s3cret")
	w, err := NewWebhook(url+"/hook?token=T0KEN", http.DefaultClient, map[string]access.Secret{"X-Tenant": access.NewSecret("a")}, secret)
	if err != nil {
		t.Fatal(err)
	}
	w.now = func() time.Time { return at }
	if err := w.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	over := message().over(at.Add(time.Second))
	if err := w.Send(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	again := *message()
	again.again = true
	if err := w.Send(t.Context(), &again); err != nil || len(*requests) != 2 {
		t.Errorf("%d requests, %v: a danger that lasts is told once", len(*requests), err)
	}
	r, body := (*requests)[0], (*bodies)[0]
	signature := r.Header.Get(SignatureHeader)
	if err := Verify(secret, signature, body, at.Add(time.Second), time.Minute); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another body":   Verify(secret, signature, append(body[:len(body):len(body)], ' '), at, time.Minute),
		"another secret": Verify(access.NewSecret("guess"), signature, body, at, time.Minute),
		"an hour later":  Verify(secret, signature, body, at.Add(time.Hour), time.Minute),
		"another time":   Verify(secret, strings.Replace(signature, "t=1", "t=2", 1), body, at, time.Minute),
		"none":           Verify(secret, "", body, at, time.Minute),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if r.Header.Get("X-Tenant") != "a" || r.Header.Get("Content-Type") != "application/json" || r.Method != http.MethodPost || r.URL.Path != "/hook" {
		t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
	}
	var got Message
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || got != *message() {
		t.Errorf("it got %+v, %v", got, err)
	}
	if !strings.Contains(string((*bodies)[1]), `"status":"over"`) || !strings.Contains(string((*bodies)[1]), `"ended":"2026-03-01T12:00:01.5Z"`) {
		t.Errorf("when it is over it gets %s", (*bodies)[1])
	}
	if strings.Contains(w.Name(), "T0KEN") || strings.Contains(w.Name(), "hook?") {
		t.Errorf("its name is %s", w.Name())
	}
}

func TestWhichAnswersAreWorthAnotherTry(t *testing.T) {
	for status, refused := range map[int]bool{500: false, 503: false, 429: false, 408: false, 400: true, 401: true, 404: true} {
		url, _, _ := server(t, status)
		w, err := NewWebhook(url, http.DefaultClient, nil, access.Secret{})
		if err != nil {
			t.Fatal(err)
		}
		err = w.Send(t.Context(), message())
		var r *Refused
		if err == nil || errors.As(err, &r) != refused || !strings.Contains(err.Error(), "so it is") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// Labels tell alerts apart, so they are the same when the danger is over; times are Alertmanager's, whatever a simulation's are.
func TestAlertsOfAlertmanager(t *testing.T) {
	url, requests, bodies := server(t, http.StatusOK)
	a, err := NewAlertmanager(url+"/am/", http.DefaultClient, nil, map[string]string{"team": "shop", "severity": "page"}, "http://page/")
	if err != nil {
		t.Fatal(err)
	}
	now := at.Add(-time.Hour) // the simulation is ahead
	a.now = func() time.Time { return now }
	for _, m := range []*Message{message(), message().over(at.Add(time.Second))} {
		if err := a.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if (*requests)[0].URL.Path != "/am/api/v2/alerts" {
		t.Error((*requests)[0].URL)
	}
	var got [2][]alert
	for i := range got {
		if err := json.Unmarshal((*bodies)[i], &got[i]); err != nil || len(got[i]) != 1 {
			t.Fatalf("%s: %v", (*bodies)[i], err)
		}
	}
	begun, over := got[0][0], got[1][0]
	for name, want := range map[string]string{"alertname": AlertName, "application": "shop", "service": "db", "resource": "disk", "team": "shop", "severity": "page"} {
		if begun.Labels[name] != want || over.Labels[name] != want {
			t.Errorf("label %s is %q, then %q, want %q", name, begun.Labels[name], over.Labels[name], want)
		}
	}
	if !begun.StartsAt.Equal(now) || !begun.EndsAt.Equal(now.Add(Lasts)) || !over.EndsAt.Equal(now) {
		t.Errorf("it lasts from %v to %v, then to %v", begun.StartsAt, begun.EndsAt, over.EndsAt)
	}
	for _, name := range []string{"summary", "description", "action", "probability", "within", "evidence"} {
		if begun.Annotations[name] == "" {
			t.Errorf("annotation %s is missing", name)
		}
	}
}

// manager answers as Alertmanager's API says (api/v2/openapi.yaml of version 0.34): it refuses what is no list of postableAlert, and
// shows what is active.
type manager struct {
	all map[string]alert
}

func (a *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/v2/alerts" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "no such operation", http.StatusNotFound)
		return
	}
	var all []struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		StartsAt    *time.Time        `json:"startsAt"`
		EndsAt      *time.Time        `json:"endsAt"`
		Generator   *string           `json:"generatorURL"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, v := range all {
		key := ""
		for _, name := range slices.Sorted(maps.Keys(v.Labels)) {
			key += name + "=" + v.Labels[name] + ","
			if v.Labels[name] == "" {
				http.Error(w, "an empty label", http.StatusBadRequest)
				return
			}
		}
		if v.Labels["alertname"] == "" || v.StartsAt == nil || v.EndsAt == nil || v.EndsAt.Before(*v.StartsAt) {
			http.Error(w, "no name, or it ends before it starts", http.StatusBadRequest)
			return
		}
		delete(a.all, key)
		if v.EndsAt.After(time.Now()) {
			a.all[key] = alert{Labels: v.Labels, Annotations: v.Annotations}
		}
	}
}

// What the API refuses never comes, and an alert that fires is resolved by the message that the danger is over.
func TestAlertmanagersAPI(t *testing.T) {
	m := &manager{all: map[string]alert{}}
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	a, err := NewAlertmanager(s.URL, http.DefaultClient, nil, map[string]string{"team": "shop"}, "http://127.0.0.1:7420/")
	if err != nil {
		t.Fatal(err)
	}
	for _, start := range []time.Time{time.Now(), time.Now().Add(time.Hour), time.Now().Add(-time.Hour)} {
		msg := message()
		msg.At = start
		if err := a.Send(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		again := *msg
		again.again = true
		if err := a.Send(t.Context(), &again); err != nil || len(m.all) != 1 {
			t.Fatalf("%d alerts fire, %v", len(m.all), err)
		}
		if err := a.Send(t.Context(), msg.over(start.Add(time.Second))); err != nil || len(m.all) != 0 {
			t.Fatalf("when the danger is over %d alerts fire, %v", len(m.all), err)
		}
	}
}
