package kernel

// ScoreForward is the inside of additive attention with Gaussian scores (Madu, eq. 6) for one position and a batch of rows:
// a = tanh(u + w), mu[r] = a[r]·wmu, sigma[r] = a[r]·wsigma. u, w and a are rows × cols; wmu and wsigma have cols numbers.
func ScoreForward[T Float](rows, cols int, u, w, wmu, wsigma, a, mu, sigma []T) {
	same(rows*cols, len(u), len(w), len(a))
	same(cols, len(wmu), len(wsigma))
	same(rows, len(mu), len(sigma))
	from := 0
	if d, ok := narrow(u); ok && rows > 0 && cols >= 8 {
		dw, _ := narrow(w)
		m, _ := narrow(wmu)
		s, _ := narrow(wsigma)
		da, _ := narrow(a)
		om, _ := narrow(mu)
		os, _ := narrow(sigma)
		from = cols &^ 7
		scoreForwardFast(rows, from, cols, &d[0], &dw[0], &m[0], &s[0], &da[0], &om[0], &os[0])
	} else {
		clear(mu)
		clear(sigma)
	}
	if from == cols {
		return
	}
	for r := range rows {
		for j := from; j < cols; j++ {
			x := tanh(u[r*cols+j] + w[r*cols+j])
			a[r*cols+j] = x
			mu[r] += x * wmu[j]
			sigma[r] += x * wsigma[j]
		}
	}
}

// ScoreBackward is the way back through ScoreForward. dmu and dsigma are the gradients of its results; those of u, w, wmu
// and wsigma are added to du, dw, gmu and gsigma.
func ScoreBackward[T Float](rows, cols int, a, dmu, dsigma, wmu, wsigma, du, dw, gmu, gsigma []T) {
	same(rows*cols, len(a), len(du), len(dw))
	same(cols, len(wmu), len(wsigma), len(gmu), len(gsigma))
	same(rows, len(dmu), len(dsigma))
	from := 0
	if d, ok := narrow(a); ok && rows > 0 && cols >= 8 {
		m, _ := narrow(dmu)
		s, _ := narrow(dsigma)
		wm, _ := narrow(wmu)
		ws, _ := narrow(wsigma)
		u, _ := narrow(du)
		w, _ := narrow(dw)
		gm, _ := narrow(gmu)
		gs, _ := narrow(gsigma)
		from = cols &^ 7
		scoreBackwardFast(rows, from, cols, &d[0], &m[0], &s[0], &wm[0], &ws[0], &u[0], &w[0], &gm[0], &gs[0])
	}
	if from == cols {
		return
	}
	for r := range rows {
		for j := from; j < cols; j++ {
			x := a[r*cols+j]
			gmu[j] += dmu[r] * x
			gsigma[j] += dsigma[r] * x
			d := (dmu[r]*wmu[j] + dsigma[r]*wsigma[j]) * (1 - x*x)
			du[r*cols+j] += d
			dw[r*cols+j] += d
		}
	}
}
