"""What users construct: scikit-learn estimators, one file per family."""
