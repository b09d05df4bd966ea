package sequence

var methodNames = []string{"composed", "monolith-gp", "monolith-nn", "monolith-kept"}
