"""Fast weights: a recurrent network whose weights change within a sequence (Ba et al. 2016, arXiv 1610.06258)."""
