package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The functions here work on matrices of contiguous rows. cols is a multiple of 8, and stride, in bytes, the distance
// between rows.

// rows calls body for each row, and moves the given pointers on by stride after it.
func rows(name string, n, stride Register, body func(), moved ...Register) {
	Label(name + "_row")
	body()
	for _, p := range moved {
		ADDQ(stride, p)
	}
	DECQ(n)
	JNE(LabelRef(name + "_row"))
	VZEROUPPER()
	RET()
}

// columns calls body with the offset, in bytes, of each vector of a row.
func columns(name string, bytes Register, body func(at Register)) {
	at := GP64()
	XORQ(at, at)
	Label(name + "_column")
	body(at)
	ADDQ(Imm(32), at)
	CMPQ(at, bytes)
	JLT(LabelRef(name + "_column"))
}

func at(base, offset Register) Mem { return Mem{Base: base, Index: offset, Scale: 1} }

// inBytes is a parameter that counts numbers, in bytes.
func inBytes(name string) Register {
	r := ptr(name)
	SHLQ(Imm(2), r)
	return r
}

func rowDot() {
	start("rowDotFast", "out[r] = Σ x[r][c]·y[r][c].", "rows, cols, stride int, x, y, out *float32")
	n, cols, stride := ptr("rows"), inBytes("cols"), inBytes("stride")
	x, y, out := ptr("x"), ptr("y"), ptr("out")
	rows("rowDot", n, stride, func() {
		sum, v := YMM(), YMM()
		VXORPS(sum, sum, sum)
		columns("rowDot", cols, func(i Register) {
			VMOVUPS(at(x, i), v)
			VFMADD231PS(at(y, i), v, sum)
		})
		VMOVSS(sumLanes(sum), Mem{Base: out})
		ADDQ(Imm(4), out)
	}, x, y)
}

func rowAxpy() {
	start("rowAxpyFast", "y[r][c] += alpha[r]·x[r][c].", "rows, cols, stride int, alpha, x, y *float32")
	n, cols, stride := ptr("rows"), inBytes("cols"), inBytes("stride")
	alpha, x, y := ptr("alpha"), ptr("x"), ptr("y")
	rows("rowAxpy", n, stride, func() {
		a, v := YMM(), YMM()
		VBROADCASTSS(Mem{Base: alpha}, a)
		columns("rowAxpy", cols, func(i Register) {
			VMOVUPS(at(y, i), v)
			VFMADD231PS(at(x, i), a, v)
			VMOVUPS(v, at(y, i))
		})
		ADDQ(Imm(4), alpha)
	}, x, y)
}

// gatePointers are those of one row's four gates, which lie one after another.
func gatePointers(first, stride Register) [4]Register {
	p := [4]Register{first}
	for i := 1; i < 4; i++ {
		p[i] = GP64()
		LEAQ(Mem{Base: p[i-1], Index: stride, Scale: 1}, p[i])
	}
	return p
}

func lstmForward() {
	start("lstmForwardFast", "activates the gates i, f, g, o of an LSTM in place, and makes of them and cPrev the new c, tanh(c) and h.",
		"rows, cols, stride int, gates, cPrev, c, tc, h *float32")
	n, cols, stride := ptr("rows"), inBytes("cols"), inBytes("stride")
	gates := gatePointers(ptr("gates"), stride)
	cPrev, cNew, tc, h := ptr("cPrev"), ptr("c"), ptr("tc"), ptr("h")
	l := loadLimits()
	rows("lstmForward", n, stride, func() {
		columns("lstmForward", cols, func(i Register) {
			in, forget, cell, out := load(at(gates[0], i), nil), load(at(gates[1], i), nil), load(at(gates[2], i), nil), load(at(gates[3], i), nil)
			sigmoid(l, in)
			VMOVUPS(in, at(gates[0], i))
			tanh(l, cell)
			VMOVUPS(cell, at(gates[2], i))
			VMULPS(in, cell, cell)
			sigmoid(l, forget)
			VMOVUPS(forget, at(gates[1], i))
			VFMADD231PS(at(cPrev, i), forget, cell)
			VMOVUPS(cell, at(cNew, i))
			tanh(l, cell)
			VMOVUPS(cell, at(tc, i))
			sigmoid(l, out)
			VMOVUPS(out, at(gates[3], i))
			VMULPS(out, cell, cell)
			VMOVUPS(cell, at(h, i))
		})
		for _, g := range gates { // four gates make up a row
			LEAQ(Mem{Base: g, Index: stride, Scale: 4}, g)
		}
	}, cPrev, cNew, tc, h)
}

func lstmBackward() {
	start("lstmBackwardFast", "makes of the gradients dh and dc those of the gates before their activation, and of cPrev, in dc.",
		"rows, cols, stride int, gates, cPrev, tc, dh, dc, dgates *float32")
	n, cols, stride := ptr("rows"), inBytes("cols"), inBytes("stride")
	gates, dgates := ptr("gates"), ptr("dgates")
	cPrev, tc, dh, dc := ptr("cPrev"), ptr("tc"), ptr("dh"), ptr("dc")
	one := loaded("one")
	three := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	rows("lstmBackward", n, stride, func() {
		g, dg := GP64(), GP64()
		columns("lstmBackward", cols, func(i Register) {
			LEAQ(at(gates, i), g)
			LEAQ(at(dgates, i), dg)
			of := func(p Register) [4]Mem { // the four gates at p
				return [4]Mem{{Base: p}, {Base: p, Index: stride, Scale: 1}, {Base: p, Index: stride, Scale: 2}, {Base: p, Index: three, Scale: 1}}
			}
			have, want := of(g), of(dg)
			d, t, o, x := load(at(dh, i), nil), load(at(tc, i), nil), load(have[3], nil), YMM()
			// sigmoidGrad stores grad·s·(1-s).
			sigmoidGrad := func(grad, s VecVirtual, to Mem) {
				VSUBPS(s, one, x)
				VMULPS(s, x, x)
				VMULPS(grad, x, x)
				VMOVUPS(x, to)
			}
			do := YMM()
			VMULPS(d, t, do)
			sigmoidGrad(do, o, want[3])
			VMULPS(d, o, d)
			VMULPS(t, t, t)
			VSUBPS(t, one, t)
			VFMADD213PS(at(dc, i), t, d) // d is dc from here on: d·o·(1-tanh²) + dc
			in, forget, cell := load(have[0], nil), load(have[1], nil), load(have[2], nil)
			y := YMM()
			VMULPS(d, cell, y)
			sigmoidGrad(y, in, want[0])
			VMULPS(at(cPrev, i), d, y)
			sigmoidGrad(y, forget, want[1])
			VMULPS(d, in, y)
			VMULPS(cell, cell, cell)
			VSUBPS(cell, one, cell)
			VMULPS(y, cell, cell)
			VMOVUPS(cell, want[2])
			VMULPS(d, forget, d)
			VMOVUPS(d, at(dc, i))
		})
		LEAQ(Mem{Base: gates, Index: stride, Scale: 4}, gates)
		LEAQ(Mem{Base: dgates, Index: stride, Scale: 4}, dgates)
	}, cPrev, tc, dh, dc)
}

func scoreForward() {
	start("scoreForwardFast", "a = tanh(u + w), mu[r] = a[r]·wmu and sigma[r] = a[r]·wsigma.",
		"rows, cols, stride int, u, w, wmu, wsigma, a, mu, sigma *float32")
	n, cols, stride := ptr("rows"), inBytes("cols"), inBytes("stride")
	u, w, wmu, wsigma := ptr("u"), ptr("w"), ptr("wmu"), ptr("wsigma")
	a, mu, sigma := ptr("a"), ptr("mu"), ptr("sigma")
	l := loadLimits()
	rows("scoreForward", n, stride, func() {
		m, s := YMM(), YMM()
		VXORPS(m, m, m)
		VXORPS(s, s, s)
		columns("scoreForward", cols, func(i Register) {
			x := load(at(u, i), nil)
			VADDPS(at(w, i), x, x)
			tanh(l, x)
			VMOVUPS(x, at(a, i))
			VFMADD231PS(at(wmu, i), x, m)
			VFMADD231PS(at(wsigma, i), x, s)
		})
		VMOVSS(sumLanes(m), Mem{Base: mu})
		VMOVSS(sumLanes(s), Mem{Base: sigma})
		ADDQ(Imm(4), mu)
		ADDQ(Imm(4), sigma)
	}, u, w, a)
}

func scoreBackward() {
	start("scoreBackwardFast", "adds the gradients of scoreForward: to du, to dw, and to gmu and gsigma, those of the weights.",
		"rows, cols, stride int, a, dmu, dsigma, wmu, wsigma, du, dw, gmu, gsigma *float32")
	n, cols, stride := ptr("rows"), inBytes("cols"), inBytes("stride")
	a, dmu, dsigma, wmu, wsigma := ptr("a"), ptr("dmu"), ptr("dsigma"), ptr("wmu"), ptr("wsigma")
	du, dw, gmu, gsigma := ptr("du"), ptr("dw"), ptr("gmu"), ptr("gsigma")
	one := loaded("one")
	rows("scoreBackward", n, stride, func() {
		m, s := YMM(), YMM()
		VBROADCASTSS(Mem{Base: dmu}, m)
		VBROADCASTSS(Mem{Base: dsigma}, s)
		columns("scoreBackward", cols, func(i Register) {
			x, g := load(at(a, i), nil), YMM()
			add := func(to Register, k VecVirtual) {
				VMOVUPS(at(to, i), g)
				VFMADD231PS(x, k, g)
				VMOVUPS(g, at(to, i))
			}
			add(gmu, m)
			add(gsigma, s)
			VMULPS(at(wmu, i), m, g)
			VFMADD231PS(at(wsigma, i), s, g)
			VMULPS(x, x, x)
			VSUBPS(x, one, x)
			VMULPS(x, g, x)
			for _, to := range []Register{du, dw} {
				VADDPS(at(to, i), x, g)
				VMOVUPS(g, at(to, i))
			}
		})
		ADDQ(Imm(4), dmu)
		ADDQ(Imm(4), dsigma)
	}, a, du, dw)
}
