// Package outlet tells others of alarms: violations that are foreseen. For each alarm there is one Message when the danger begins,
// and one when it is over; it says what, where, when, how sure that is, how long there is to act, which resource is at fault
// and what to do.
//
// A Sender speaks one protocol: Alertmanager or Webhook. An Outlet brings messages to it from a bounded queue, with retries, so that who
// hands them over never waits; what finds no room is dropped and counted. Alarms turns what a loop decides into messages.
package outlet
