"""The networks and what they minimise.

::

    vae.py         the two architectures and their losses
    objective.py   the negative ELBO, with its schedules
    color_code.py  the color of an image: measured, and coded by formulas, not by training
    latents.py     posteriors: sampling, KL divergences
    critic.py      the critic that takes the decoder's blur, and the stage in which it does
    judge.py       the digit classifier, and the perceptual loss that its layers give
    verifier.py    what `judge.onnx` holds: reads the digit, measures the color, scores the realism
    ciede2000.py   color differences in plain arithmetic, for the verifier
    kernels.py     binary cross entropy and its gradient
    weights.py     tensors in files
"""
