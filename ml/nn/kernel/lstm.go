package kernel

// LSTMForward is one step of an LSTM with cols cells, for a batch of rows. gates has 4·cols numbers a row: the gates
// i, f, g and o before their activation, which takes place here. Out of cPrev come the new cells c, their tanh tc, and the
// output h; all are rows × cols.
func LSTMForward[T Float](rows, cols int, gates, cPrev, c, tc, h []T) {
	same(rows*cols, len(cPrev), len(c), len(tc), len(h))
	same(4*rows*cols, len(gates))
	from := 0
	if g, ok := narrow(gates); ok && rows > 0 && cols >= 8 {
		p, _ := narrow(cPrev)
		dc, _ := narrow(c)
		dt, _ := narrow(tc)
		dh, _ := narrow(h)
		from = cols &^ 7
		lstmForwardFast(rows, from, cols, &g[0], &p[0], &dc[0], &dt[0], &dh[0])
	}
	if from == cols {
		return
	}
	for r := range rows {
		g := gates[4*r*cols : 4*(r+1)*cols]
		for j := from; j < cols; j++ {
			at := r*cols + j
			in, forget, cell, out := sigmoid(g[j]), sigmoid(g[cols+j]), tanh(g[2*cols+j]), sigmoid(g[3*cols+j])
			g[j], g[cols+j], g[2*cols+j], g[3*cols+j] = in, forget, cell, out
			c[at] = forget*cPrev[at] + in*cell
			tc[at] = tanh(c[at])
			h[at] = out * tc[at]
		}
	}
}

// LSTMBackward is the way back through LSTMForward, whose gates, cPrev and tc it is given. dh is the gradient of h and dc
// that of c, without what h adds to it; dgates receives the gradient of the gates before their activation, and dc that of
// cPrev.
func LSTMBackward[T Float](rows, cols int, gates, cPrev, tc, dh, dc, dgates []T) {
	same(rows*cols, len(cPrev), len(tc), len(dh), len(dc))
	same(4*rows*cols, len(gates), len(dgates))
	from := 0
	if g, ok := narrow(gates); ok && rows > 0 && cols >= 8 {
		p, _ := narrow(cPrev)
		t, _ := narrow(tc)
		h, _ := narrow(dh)
		d, _ := narrow(dc)
		dg, _ := narrow(dgates)
		from = cols &^ 7
		lstmBackwardFast(rows, from, cols, &g[0], &p[0], &t[0], &h[0], &d[0], &dg[0])
	}
	if from == cols {
		return
	}
	for r := range rows {
		g, dg := gates[4*r*cols:4*(r+1)*cols], dgates[4*r*cols:4*(r+1)*cols]
		for j := from; j < cols; j++ {
			at := r*cols + j
			in, forget, cell, out := g[j], g[cols+j], g[2*cols+j], g[3*cols+j]
			d := dc[at] + dh[at]*out*(1-tc[at]*tc[at])
			dg[j] = d * cell * in * (1 - in)
			dg[cols+j] = d * cPrev[at] * forget * (1 - forget)
			dg[2*cols+j] = d * in * (1 - cell*cell)
			dg[3*cols+j] = dh[at] * tc[at] * out * (1 - out)
			dc[at] = d * forget
		}
	}
}
