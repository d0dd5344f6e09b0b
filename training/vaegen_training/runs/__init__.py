"""`vaegen train`: the stages of a run (`run`), the loop that they share (`loop`), and the run's folder."""
