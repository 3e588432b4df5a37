"""One colour and one marker per model, in every figure: the k-th model of a study has the k-th."""

MODEL_MARKERS = "os^Dv"
# Okabe and Ito
MODEL_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
