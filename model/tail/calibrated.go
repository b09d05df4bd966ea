package tail

import (
	"math"

	"foresail.dev/ml/calibrate"
)

// calibrated makes probabilities of the log odds that trees say.
type calibrated struct {
	sigmoid calibrate.Sigmoid
	steps   *calibrate.Steps // nil: the sigmoid
}

func (c *calibrated) probability(score float64) float64 {
	if c.steps != nil {
		return c.steps.Probability(score)
	}
	return c.sigmoid.Probability(score)
}

// leastForSteps is how many rows isotonic regression needs at least; with fewer it follows chance.
const leastForSteps = 500

// What takes the place of an old calibration must rest on so many rows, and so many of each class.
const (
	leastToReplace = 100
	leastOfEach    = 10
)

func enough(y []float64) bool {
	ones := 0
	for _, v := range y {
		ones += int(v)
	}
	return len(y) >= leastToReplace && ones >= leastOfEach && len(y)-ones >= leastOfEach
}

// calibrateOn fits to rows that made no tree and ended no training. With CalibrationAuto it is the one that did better, by
// Brier score, on the half of the rows that it was not fitted to, both ways.
func calibrateOn(kind Calibration, score, y []float64) (calibrated, error) {
	sigmoid, err := calibrate.FitSigmoid(score, y, nil)
	if err != nil {
		return calibrated{}, err
	}
	if kind == CalibrationAuto && len(y) >= leastForSteps {
		kind = better(score, y)
	}
	if kind != CalibrationSteps {
		return calibrated{sigmoid: sigmoid}, nil
	}
	steps, err := calibrate.FitSteps(score, y, nil)
	return calibrated{sigmoid, steps}, err
}

func better(score, y []float64) Calibration {
	half := len(y) / 2
	var bySigmoid, bySteps float64
	for _, h := range []struct{ fit, test [2]int }{{[2]int{0, half}, [2]int{half, len(y)}}, {[2]int{half, len(y)}, [2]int{0, half}}} {
		sigmoid, err1 := calibrate.FitSigmoid(score[h.fit[0]:h.fit[1]], y[h.fit[0]:h.fit[1]], nil)
		steps, err2 := calibrate.FitSteps(score[h.fit[0]:h.fit[1]], y[h.fit[0]:h.fit[1]], nil)
		if err1 != nil || err2 != nil {
			return CalibrationSigmoid
		}
		for i := h.test[0]; i < h.test[1]; i++ {
			bySigmoid += math.Pow(sigmoid.Probability(score[i])-y[i], 2)
			bySteps += math.Pow(steps.Probability(score[i])-y[i], 2)
		}
	}
	if bySteps < bySigmoid {
		return CalibrationSteps
	}
	return CalibrationSigmoid
}
