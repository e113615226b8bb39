"""Where jobs run: in this process, in others, on Ray and on Slurm."""
