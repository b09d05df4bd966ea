package tail

// Report is how well a model predicts: of Evaluate on some runs, of Train on the validation rows and, in Held, on whole runs
// that were held out.
type Report struct {
	Scores
	Held    *Scores `json:"held,omitempty"`    // on whole runs; nil: none were held out
	Before  *Scores `json:"before,omitempty"`  // of fine-tuning: the old model on the same rows as Held, or else as Scores
	Runs    int     `json:"runs"`              // of which samples were made
	Trained int     `json:"trained,omitempty"` // samples that weights and trees were made from
	Epochs  int     `json:"epochs,omitempty"`
	Best    int     `json:"best_epoch,omitempty"` // whose weights were kept
	Trees   int     `json:"trees,omitempty"`
	Margin  float64 `json:"margin_ms,omitempty"` // see Model.Margin
}

// Scores are those of one set of samples. Squared errors are in ms on the squashed scale, as published (Squash), by
// Percentiles; Raw is of the milliseconds themselves. A violation is what the label says of the seconds t+2 to t+5. What
// can't be told, as where there is no violation at all, is absent.
type Scores struct {
	Samples    int        `json:"samples"`
	RMSE       [5]float64 `json:"rmse_ms"`
	Raw        [5]float64 `json:"rmse_raw_ms"`
	Below      float64    `json:"rmse_below_ms"`       // of p99, where the prediction or the truth was below the objective
	Violations float64    `json:"violations"`          // share of samples with one
	Accuracy   float64    `json:"accuracy"`            // at a probability of one half
	Balanced   float64    `json:"balanced_accuracy"`   // at equal class weight, decided at one half
	AtPrior    float64    `json:"weighted_accuracy"`   // at equal class weight, decided at the share of violations, as is best then
	Precision  *float64   `json:"precision,omitempty"` // at one half
	Recall     *float64   `json:"recall,omitempty"`
	AUC        *float64   `json:"auc,omitempty"`
	ECE        float64    `json:"calibration_error"` // expected, ten bins
	Brier      float64    `json:"brier"`
	Bins       []Bin      `json:"bins,omitempty"`
}

// Bin is the samples whose probability lies in one tenth.
type Bin struct {
	Samples  int     `json:"samples"`
	Said     float64 `json:"said"`     // mean probability
	Happened float64 `json:"happened"` // share with a violation
}
