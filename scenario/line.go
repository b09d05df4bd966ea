package scenario

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"foresail.dev/appfile"
)

// token is one word of a command: what lies between spaces, or between quotes.
type token struct {
	text   string
	column int // from 1, in bytes
	quoted bool
}

// words cuts a line into tokens. A # that begins a word begins a comment.
func words(line string) (out []token, err string, column int) {
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '#':
			return out, "", 0
		case c == '"':
			end := strings.IndexByte(line[i+1:], '"')
			if end < 0 {
				return out, "a text in quotes has no end", i + 1
			}
			out = append(out, token{line[i+1 : i+1+end], i + 1, true})
			i += end + 2
		case c == ',':
			out = append(out, token{",", i + 1, false})
			i++
		default:
			end := i
			depth := 0 // within brackets a comma belongs to the word: guard(hpa,x)
			for end < len(line) && line[end] != ' ' && line[end] != '\t' && line[end] != '\r' && (line[end] != ',' || depth > 0) {
				switch line[end] {
				case '(', '{', '[':
					depth++
				case ')', '}', ']':
					depth--
				}
				end++
			}
			out = append(out, token{line[i:end], i + 1, false})
			i = end
		}
	}
	return out, "", 0
}

// block is a command with the lines of output that the file has for it.
type block struct {
	line   int // index into the file's lines
	tokens []token
	from   int // the output's first line
	to     int // and the one after its last
}

// blocks groups a file's lines: a command begins its line, and indented lines below it are its output.
func (p *parser) blocks() []block {
	var out []block
	for i, line := range p.lines {
		switch {
		case strings.TrimSpace(line) == "":
			continue
		case line[0] == ' ' || line[0] == '\t':
			if n := len(out); n > 0 && out[n-1].to == i {
				out[n-1].to = i + 1
			} else {
				p.faultAt(i, 1, "is indented, but there is no command right above that it could be the output of")
			}
			continue
		}
		tokens, err, column := words(line)
		if err != "" {
			p.faultAt(i, column, "%s", err)
		}
		if len(tokens) > 0 {
			out = append(out, block{line: i, tokens: tokens, from: i + 1, to: i + 1})
		}
	}
	return out
}

// parser gathers what a file says, and everything that is wrong with it.
type parser struct {
	open   Open
	name   string
	lines  []string
	faults appfile.Faults

	line      int // of the command that is read
	worlds    []*world
	world     *world
	next      setup // of the next world
	started   bool  // the world has run
	variables map[string]unit
	commands  []command
}

const maxFaults = 200

func (p *parser) faultAt(line, column int, format string, args ...any) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, appfile.Fault{File: p.name, Line: line + 1, Column: max(column, 1), Message: fmt.Sprintf(format, args...)})
	}
}

// faultf is a fault at a token of the command that is read.
func (p *parser) faultf(t token, format string, args ...any) {
	p.faultAt(p.line, t.column, format, args...)
}

// end is the place after the given words, or after the whole command where there are none, for what is missing.
func (p *parser) end(tokens []token) token {
	if len(tokens) == 0 {
		all, _, _ := words(p.lines[p.line])
		tokens = all
	}
	last := tokens[len(tokens)-1]
	width := len(last.text)
	if last.quoted {
		width += 2
	}
	return token{column: last.column + width}
}

// valid says whether text can be shown to a person.
func valid(data []byte) bool { return utf8.Valid(data) && !strings.ContainsRune(string(data), 0) }
