"""The paper's claim at the demo's size: ViKeR against gradient ascent, epoch by epoch, over several seeds."""
