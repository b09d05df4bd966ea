package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"foresail.dev/appfile"
)

// ofAll are the words of a nodes file that are not of one machine.
var ofAll = []string{"placement", "within", "between", "detection"}

// nodes reads "nodes FILE.yaml" or "nodes 3 cores=8 memory=32GiB": so many alike, called n-0, n-1 and so on, with the
// fields of nodes files.
func (p *parser) nodes(_ *block, args []token, _ *time.Duration) func(*runner) output {
	usage := findVerb("nodes").usage
	if len(args) == 0 {
		p.faultf(p.end(args), "write: %s", usage)
		return nil
	}
	if !p.fresh("nodes") {
		return nil
	}
	var data []byte
	var err error
	var words []pair
	if strings.HasSuffix(args[0].text, ".yaml") {
		if !p.one(args, "nodes") {
			return nil
		}
		data, err = p.readFile(args[0].text)
	} else {
		var head, machine strings.Builder
		words = append(p.pairs(args[1:], usage), pair{key: "count", token: args[0]})
		for _, w := range words[:len(words)-1] {
			if slices.Contains(ofAll, w.key) {
				fmt.Fprintf(&head, "%s: %s\n", w.key, strconv.Quote(w.value))
			} else {
				fmt.Fprintf(&machine, "%s: %s, ", strconv.Quote(w.key), strconv.Quote(w.value))
			}
		}
		data = []byte(fmt.Sprintf("nodes: scenario\n%smachines:\n  - {name: n, count: %s, %s}\n", head.String(), strconv.Quote(args[0].text), machine.String()))
	}
	var n *appfile.Nodes
	if err == nil {
		n, err = appfile.ParseNodes(args[0].text, data)
	}
	if err != nil {
		p.inner(args[0], words, err)
		return nil
	}
	p.change(func(s *setup) { s.machines = *n })
	return nil
}
