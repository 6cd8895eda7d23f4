"""The old surfaces, as their READMEs show them. Only here are the old words known; the work underneath is the same."""
