package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// limits are the registers that exp needs beside its own: a number that is not one must come out as it went in, and for
// that the bounds of VMINPS and VMAXPS have to be in registers.
type limits struct{ most, least VecVirtual }

func loadLimits() limits { return limits{loaded("most"), loaded("least")} }

// exp replaces x by e^x: x = n·ln 2 + r, and e^x = 2^n · Σ r^k/k!.
func exp(l limits, x VecVirtual) {
	VMINPS(x, l.most, x)
	VMAXPS(x, l.least, x)
	n, p := YMM(), YMM()
	VMULPS(c("log2e"), x, n)
	VROUNDPS(Imm(8), n, n)
	VFNMADD231PS(c("ln2hi"), n, x)
	VFNMADD231PS(c("ln2lo"), n, x)
	VMOVUPS(c("c7"), p)
	for _, k := range []string{"c6", "c5", "c4", "c3", "c2", "one", "one"} {
		VFMADD213PS(c(k), x, p)
	}
	VCVTPS2DQ(n, n)
	VPADDD(c("bias"), n, n)
	VPSLLD(Imm(23), n, n)
	VMULPS(n, p, x)
}

func sigmoid(l limits, x VecVirtual) {
	zero := YMM()
	VXORPS(zero, zero, zero)
	VSUBPS(x, zero, x)
	exp(l, x)
	one := loaded("one")
	VADDPS(one, x, x)
	VDIVPS(x, one, x)
}

// tanh is 1 - 2/(e^2x + 1).
func tanh(l limits, x VecVirtual) {
	VADDPS(x, x, x)
	exp(l, x)
	VADDPS(c("one"), x, x)
	t := loaded("two")
	VDIVPS(x, t, t)
	one := loaded("one")
	VSUBPS(t, one, x)
}

// each calls body for the vectors of an array of n numbers: with nil for whole ones, and once more with a mask for the
// rest. body returns after it has moved its pointers on.
func each(name string, n Register, body func(mask *VecVirtual)) {
	Label(name + "_whole")
	CMPQ(n, Imm(8))
	JLT(LabelRef(name + "_rest"))
	body(nil)
	SUBQ(Imm(8), n)
	JMP(LabelRef(name + "_whole"))
	Label(name + "_rest")
	TESTQ(n, n)
	JEQ(LabelRef(name + "_done"))
	at, mask := GP64(), YMM()
	LEAQ(c("tailmask").Offset(32), at)
	NEGQ(n)
	VMOVUPS(Mem{Base: at, Index: n, Scale: 4}, mask)
	body(&mask)
	Label(name + "_done")
}

func load(at Mem, mask *VecVirtual) VecVirtual {
	x := YMM()
	if mask == nil {
		VMOVUPS(at, x)
	} else {
		VMASKMOVPS(at, *mask, x)
	}
	return x
}

func store(x VecVirtual, at Mem, mask *VecVirtual) {
	if mask == nil {
		VMOVUPS(x, at)
	} else {
		VMASKMOVPS(x, *mask, at)
	}
}

func elementwise(name, doc string, f func(limits, VecVirtual)) {
	start(name, doc, "n int, dst, src *float32")
	n, dst, src := ptr("n"), ptr("dst"), ptr("src")
	l := loadLimits()
	each(name, n, func(mask *VecVirtual) {
		x := load(Mem{Base: src}, mask)
		f(l, x)
		store(x, Mem{Base: dst}, mask)
		ADDQ(Imm(32), src)
		ADDQ(Imm(32), dst)
	})
	VZEROUPPER()
	RET()
}

func axpy() {
	start("axpyFast", "y[i] += alpha·x[i].", "n int, alpha float32, x, y *float32")
	n, x, y := ptr("n"), ptr("x"), ptr("y")
	alpha := broadcast("alpha")
	each("axpy", n, func(mask *VecVirtual) {
		old := load(Mem{Base: y}, mask)
		if mask == nil {
			VFMADD231PS(Mem{Base: x}, alpha, old)
		} else {
			VFMADD231PS(load(Mem{Base: x}, mask), alpha, old)
		}
		store(old, Mem{Base: y}, mask)
		ADDQ(Imm(32), x)
		ADDQ(Imm(32), y)
	})
	VZEROUPPER()
	RET()
}

func dot() {
	start("dotFast", "returns the sum of x[i]·y[i].", "n int, x, y *float32) (sum float32")
	n, x, y := ptr("n"), ptr("x"), ptr("y")
	sum := YMM()
	VXORPS(sum, sum, sum)
	each("dot", n, func(mask *VecVirtual) {
		VFMADD231PS(load(Mem{Base: x}, mask), load(Mem{Base: y}, mask), sum)
		ADDQ(Imm(32), x)
		ADDQ(Imm(32), y)
	})
	Store(sumLanes(sum), ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// adam is one step of Adam (Kingma and Ba, 2015, algorithm 1). rate holds the corrections for the first steps, and eps is
// scaled with it.
func adam() {
	start("adamFast", "one step of Adam; m and v are its moments.", "n int, w, grad, m, v *float32, beta1, rest1, beta2, rest2, rate, eps float32")
	n, w, g, m, v := ptr("n"), ptr("w"), ptr("grad"), ptr("m"), ptr("v")
	beta1, rest1 := broadcast("beta1"), broadcast("rest1")
	beta2, rest2 := broadcast("beta2"), broadcast("rest2")
	rate, eps := broadcast("rate"), broadcast("eps")
	each("adam", n, func(mask *VecVirtual) {
		grad := load(Mem{Base: g}, mask)
		first, second := load(Mem{Base: m}, mask), load(Mem{Base: v}, mask)
		VMULPS(beta1, first, first)
		VFMADD231PS(rest1, grad, first)
		store(first, Mem{Base: m}, mask)
		VMULPS(grad, grad, grad)
		VMULPS(beta2, second, second)
		VFMADD231PS(rest2, grad, second)
		store(second, Mem{Base: v}, mask)
		VSQRTPS(second, second)
		VADDPS(eps, second, second)
		VMULPS(rate, first, first)
		VDIVPS(second, first, first)
		old := load(Mem{Base: w}, mask)
		VSUBPS(first, old, old)
		store(old, Mem{Base: w}, mask)
		for _, p := range []Register{w, g, m, v} {
			ADDQ(Imm(32), p)
		}
	})
	VZEROUPPER()
	RET()
}
